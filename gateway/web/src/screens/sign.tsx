import { type FormEvent, useState } from "react";
import { Button } from "@/design/button";
import { Field } from "@/design/field";
import { Logo } from "@/design/logo";
import { navigate } from "@/router";
import { newRequestId, type SignedIn, signIn, signUp } from "@/rpc/api";
import { account } from "@/rpc/credentials";
import { toCallError } from "@/rpc/errors";
import { ACTION, retrying } from "@/rpc/retry";
import { describe } from "@/rpc/words";

const MIN_PASSWORD = 10;

/** Into an account, or to a new one. */
export default function Sign({ mode }: { mode: "in" | "up" }) {
  const up = mode === "up";
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const value = (name: string) => String(form.get(name) ?? "").trim();
    setBusy(true);
    setProblem("");
    try {
      const signedIn = await enter(up, value("email"), String(form.get("password") ?? ""), value("name"));
      account.keep(signedIn.credentials, signedIn);
      navigate("/");
    } catch (thrown) {
      const { title, advice } = describe(toCallError(thrown));
      setProblem(`${title}. ${advice}`);
      setBusy(false);
    }
  };
  return (
    <div className="flex min-h-full flex-col">
      <header className="p-4 sm:px-6">
        <a href="/" aria-label="Parley, home" className="inline-flex min-h-11 items-center rounded-control">
          <Logo />
        </a>
      </header>
      <main className="mx-auto flex w-full max-w-sm flex-1 flex-col justify-center gap-6 px-5 pb-24">
        <h1 className="text-3xl font-semibold">{up ? "Make an account" : "Sign in"}</h1>
        <form onSubmit={submit} className="flex flex-col gap-4">
          {up && <Field label="Name" name="name" autoComplete="name" required maxLength={100} />}
          <Field label="E-mail address" name="email" type="email" autoComplete="email" required maxLength={254} />
          <Field
            label="Password"
            name="password"
            type="password"
            autoComplete={up ? "new-password" : "current-password"}
            required
            minLength={up ? MIN_PASSWORD : 1}
            maxLength={128}
            {...(up && { hint: `At least ${MIN_PASSWORD} characters.` })}
          />
          <p role="alert" className="text-sm text-danger-text empty:hidden">
            {problem}
          </p>
          <Button type="submit" look="primary" disabled={busy}>
            {up ? "Create account" : "Sign in"}
          </Button>
        </form>
        <Button look="ghost" onClick={() => navigate(up ? "/sign-in" : "/sign-up")}>
          {up ? "I have an account" : "I have no account yet"}
        </Button>
      </main>
    </div>
  );
}

function enter(up: boolean, email: string, password: string, name: string): Promise<SignedIn> {
  const requestId = newRequestId();
  const call = () => (up ? signUp(email, password, name, requestId) : signIn(email, password));
  return retrying(call, { policy: ACTION });
}
