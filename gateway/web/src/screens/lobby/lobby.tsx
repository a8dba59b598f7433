import { type FormEvent, useState } from "react";
import { Button } from "@/design/button";
import { Field } from "@/design/field";
import { Logo } from "@/design/logo";
import { Spinner } from "@/design/page";
import type { Preview } from "@/rpc/api";
import type { Problem } from "@/rpc/words";
import type { Lobby, Visit } from "@/session/visit";
import { CameraPreview } from "./camera_preview";
import { DeviceChoice } from "./device_choice";
import { PermissionHelp } from "./permission_help";

export interface LobbyProps {
  readonly visit: Visit;
  readonly lobby: Lobby;
  readonly joining: boolean;
  readonly problem: Problem | undefined;
}

/** The last look in the mirror: picture, sound, name, and in. */
export function LobbyScreen({ visit, lobby, joining, problem }: LobbyProps) {
  const { local, meter, preview } = lobby;
  return (
    <div className="flex min-h-full flex-col">
      <header className="p-4 sm:px-6">
        <a href="/" aria-label="Parley, home" className="inline-flex min-h-11 items-center rounded-control">
          <Logo />
        </a>
      </header>
      <main className="mx-auto grid w-full max-w-5xl flex-1 content-center items-center gap-6 px-5 pb-10 lg:grid-cols-[3fr_2fr] lg:gap-10 lg:pb-24">
        <section aria-label="Your camera and microphone" className="flex min-w-0 flex-col gap-3">
          <CameraPreview local={local} />
          <PermissionHelp local={local} />
          <DeviceChoice local={local} meter={meter} />
        </section>
        <section className="flex min-w-0 flex-col gap-5">
          <Title preview={preview} />
          <NameForm visit={visit} joining={joining} problem={problem} />
        </section>
      </main>
    </div>
  );
}

function Title({ preview }: { preview: Preview }) {
  const { topic, hostDisplayName, participantCount: count } = preview;
  const hosted = hostDisplayName ? `${hostDisplayName}'s meeting` : "Your meeting";
  const title = topic || (preview.callerIsHost ? "Your meeting" : hostDisplayName ? hosted : "Ready to come in?");
  const others = count === 1 ? "One person is in." : `${count} people are in.`;
  return (
    <div className="flex flex-col gap-1">
      <h1 className="text-balance break-words text-3xl font-semibold">{title}</h1>
      <p className="text-quiet">{count === 0 ? "Nobody is in yet." : others}</p>
    </div>
  );
}

function NameForm({ visit, joining, problem }: Omit<LobbyProps, "lobby">) {
  const [name, setName] = useState(visit.name);
  const [error, setError] = useState<string>();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim()) {
      void visit.join(name.trim());
    } else {
      setError("Type the name that others shall see.");
    }
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4" noValidate>
      <Field
        label="Your name"
        name="name"
        autoComplete="name"
        autoFocus
        maxLength={100}
        value={name}
        error={error}
        readOnly={joining}
        onChange={(event) => {
          setName(event.target.value);
          setError(undefined);
        }}
      />
      <Button type="submit" look="primary" className="min-h-14 text-lg" disabled={joining}>
        {joining && <Spinner size={22} />}
        Join now
      </Button>
      <div role="status" className="flex flex-col items-start gap-2 text-quiet empty:hidden">
        {problem && <Wait problem={problem} joining={joining} onCancel={() => visit.cancel()} />}
      </div>
    </form>
  );
}

function Wait({ problem, joining, onCancel }: { problem: Problem; joining: boolean; onCancel: () => void }) {
  return (
    <>
      <p>
        <strong className="font-medium text-text">{problem.title}.</strong> {problem.advice}
      </p>
      {joining && (
        <Button look="ghost" className="px-0" onClick={onCancel}>
          Stop trying
        </Button>
      )}
    </>
  );
}
