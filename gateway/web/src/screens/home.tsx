import { Moon, Sun, Video } from "lucide-react";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { Button } from "@/design/button";
import { Field } from "@/design/field";
import { Logo } from "@/design/logo";
import { Spinner } from "@/design/page";
import { currentTheme, setTheme } from "@/design/theme";
import { homeActions, meetingRoute } from "@/parts";
import { meetingPath, navigate, parseInvitation } from "@/router";

/** The start: a new meeting in one click, or into one by link or number. */
export function Home() {
  useEffect(() => {
    // While the person reads, so that the first click finds them there.
    const timer = setTimeout(() => void Promise.allSettled([homeActions.load(), meetingRoute.load()]), 300);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div className="flex min-h-full flex-col">
      <header className="flex items-center justify-between p-4 sm:px-6">
        <Logo />
        <HeaderActions />
      </header>
      <main className="mx-auto flex w-full max-w-xl flex-1 flex-col justify-center gap-8 px-5 pb-24">
        <div className="flex flex-col gap-3">
          <h1 className="text-balance text-4xl font-semibold tracking-tight sm:text-5xl">
            Talk face to face, in one click.
          </h1>
          <p className="text-balance text-lg text-quiet">No download, no account. Start a meeting and send the link.</p>
        </div>
        <NewMeeting />
        <div className="flex items-center gap-4 text-sm text-quiet" aria-hidden="true">
          <span className="h-px flex-1 bg-line" />
          or
          <span className="h-px flex-1 bg-line" />
        </div>
        <JoinForm />
      </main>
      <footer className="p-4 text-center text-sm text-quiet">
        <a href="/docs/" className="underline-offset-4 hover:underline">
          Help and documentation
        </a>
      </footer>
    </div>
  );
}

function NewMeeting() {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const start = async () => {
    setBusy(true);
    setProblem("");
    try {
      const { startMeeting } = await homeActions.load();
      const result = await startMeeting();
      if ("path" in result) {
        navigate(result.path);
        return;
      }
      setProblem(result.problem);
    } catch {
      setProblem("Parley can't be reached. Check your network and try again, or reload the page.");
    }
    setBusy(false);
  };
  return (
    <div className="flex flex-col gap-2">
      <Button look="primary" className="min-h-14 text-lg" disabled={busy} onClick={start}>
        {busy ? <Spinner size={22} /> : <Video aria-hidden="true" size={22} />}
        New meeting
      </Button>
      <p role="alert" className="text-sm text-danger-text empty:hidden">
        {problem}
      </p>
    </div>
  );
}

function JoinForm() {
  const [text, setText] = useState("");
  const [error, setError] = useState<string>();
  const field = useRef<HTMLInputElement>(null);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const invitation = parseInvitation(text);
    if (invitation) {
      navigate(meetingPath(invitation.id, invitation.passcode));
      return;
    }
    setError(
      text.trim()
        ? "That is no meeting link or number: a number has 11 digits."
        : "Paste the link or type the 11 digits.",
    );
    field.current?.focus();
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3 sm:flex-row sm:items-start" noValidate>
      <Field
        ref={field}
        className="flex-1"
        label="Link or meeting number"
        placeholder="123 4567 8901"
        autoComplete="off"
        value={text}
        error={error}
        onChange={(event) => {
          setText(event.target.value);
          setError(undefined);
        }}
      />
      <Button type="submit" className="sm:mt-[26px]">
        Join
      </Button>
    </form>
  );
}

function HeaderActions() {
  const [theme, show] = useState(currentTheme());
  const [name, setName] = useState<string>();
  useEffect(() => {
    void homeActions.load().then(
      (actions) => setName(actions.signedInAs()),
      () => undefined,
    );
  }, []);
  const other = theme === "dark" ? "light" : "dark";
  return (
    <nav className="flex items-center gap-1" aria-label="Account and appearance">
      <Button
        look="ghost"
        className="px-3"
        aria-label={`Use the ${other} theme`}
        onClick={() => {
          setTheme(other);
          show(other);
        }}
      >
        {theme === "dark" ? <Sun aria-hidden="true" size={20} /> : <Moon aria-hidden="true" size={20} />}
      </Button>
      {name === undefined ? (
        <Button look="ghost" onClick={() => navigate("/sign-in")}>
          Sign in
        </Button>
      ) : (
        <>
          <span className="hidden max-w-40 truncate px-2 text-quiet sm:inline">{name}</span>
          <Button
            look="ghost"
            onClick={async () => {
              setName(undefined);
              await (await homeActions.load()).endAccount();
            }}
          >
            Sign out
          </Button>
        </>
      )}
    </nav>
  );
}
