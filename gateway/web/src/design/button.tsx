import type { ButtonHTMLAttributes, Ref } from "react";

type Look = "primary" | "plain" | "danger" | "ghost";

const LOOKS: Readonly<Record<Look, string>> = {
  primary: "bg-accent text-on-accent hover:bg-accent-hover",
  plain: "bg-raised text-text hover:bg-hover",
  danger: "bg-danger text-on-accent hover:bg-danger-hover",
  ghost: "text-accent-text hover:bg-raised",
};

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly look?: Look;
  readonly ref?: Ref<HTMLButtonElement>;
}

/** A button with words. */
export function Button({ look = "plain", className = "", type = "button", ...rest }: ButtonProps) {
  const shape =
    "inline-flex min-h-11 items-center justify-center gap-2 rounded-control px-5 py-2 font-medium transition-colors disabled:opacity-60";
  return <button type={type} className={`${shape} ${LOOKS[look]} ${className}`} {...rest} />;
}

/** A link that looks like a button. */
export function ButtonLink({ href, look = "plain", children }: { href: string; look?: Look; children: string }) {
  const shape = "inline-flex min-h-11 items-center justify-center gap-2 rounded-control px-5 py-2 font-medium";
  return (
    <a href={href} className={`${shape} ${LOOKS[look]}`}>
      {children}
    </a>
  );
}
