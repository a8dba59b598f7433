import { type InputHTMLAttributes, type Ref, useId } from "react";

export interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  readonly label: string;
  /** What is wrong with the value, in words. */
  readonly error?: string | undefined;
  readonly hint?: string;
  readonly ref?: Ref<HTMLInputElement>;
}

/** A labelled line of text. */
export function Field({ label, error, hint, className = "", ...rest }: FieldProps) {
  const id = useId();
  const note = error ?? hint;
  return (
    <div className={`flex flex-col gap-1.5 text-left ${className}`}>
      <label htmlFor={id} className="text-sm font-medium text-quiet">
        {label}
      </label>
      <input
        id={id}
        aria-invalid={error ? true : undefined}
        aria-describedby={note ? `${id}-note` : undefined}
        className={`min-h-11 w-full rounded-control border bg-surface px-3.5 py-2 text-text placeholder:text-quiet ${error ? "border-danger-text" : "border-line"}`}
        {...rest}
      />
      {note && (
        <p
          id={`${id}-note`}
          role={error ? "alert" : undefined}
          className={`text-sm ${error ? "text-danger-text" : "text-quiet"}`}
        >
          {note}
        </p>
      )}
    </div>
  );
}
