import { CircleAlert, CircleCheck, DoorClosed, KeyRound, UserX } from "lucide-react";
import { type FormEvent, type ReactNode, useEffect, useState } from "react";
import { Boundary } from "@/design/boundary";
import { Button, ButtonLink } from "@/design/button";
import { Field } from "@/design/field";
import { MessagePage } from "@/design/page";
import { usePart } from "@/design/part";
import { room } from "@/parts";
import type { Problem } from "@/rpc/words";
import type { Call } from "@/session/call";
import type { Ending } from "@/session/state";
import { useStore } from "@/session/store";
import { Visit } from "@/session/visit";
import { LobbyScreen } from "./lobby/lobby";

/** `/j/<id>`: from the link to the end of the call. */
export default function MeetingRoute({ id }: { id: string }) {
  const [visit, begin] = useState(() => visitTo(id));
  useEffect(() => {
    visit.start();
    // A pasted link that differs in its passcode alone loads no page.
    const onHash = () => visit.addressChanged();
    addEventListener("hashchange", onHash);
    return () => {
      removeEventListener("hashchange", onHash);
      visit.close();
    };
  }, [visit]);
  return <PhaseScreen visit={visit} onAgain={() => begin(visitTo(id))} />;
}

const visitTo = (id: string): Visit => new Visit(id, () => room.load());

interface PhaseScreenProps {
  readonly visit: Visit;
  readonly onAgain: () => void;
}

function PhaseScreen({ visit, onAgain }: PhaseScreenProps) {
  const phase = useStore(visit.phase);
  const loaded = usePart(room);
  switch (phase.kind) {
    case "checking":
      return (
        <MessagePage busy title={phase.waiting?.title ?? "Looking for the meeting"}>
          {phase.waiting?.advice ?? "One moment."}
        </MessagePage>
      );
    case "passcode":
      return <PasscodePage wrong={phase.wrong} onSubmit={(passcode) => visit.givePasscode(passcode)} />;
    case "problem":
      return <ProblemPage problem={phase.problem} onAgain={onAgain} />;
    case "lobby":
      return <LobbyScreen visit={visit} lobby={phase.lobby} joining={phase.joining} problem={phase.problem} />;
    case "in":
      return (
        loaded.kind === "ready" && (
          <Boundary fallback={(again) => <RoomFailed call={phase.call} onAgain={again} />}>
            <loaded.value.default call={phase.call} passcode={phase.lobby.passcode} />
          </Boundary>
        )
      );
    case "over":
      return phase.problem ? (
        <ProblemPage problem={phase.problem} onAgain={onAgain} />
      ) : (
        <OverPage ending={phase.ending} onAgain={onAgain} />
      );
  }
}

/** The screen of a call has a fault. The call itself goes on. */
function RoomFailed({ call, onAgain }: { call: Call; onAgain: () => void }) {
  const actions = (
    <>
      <Button look="primary" onClick={onAgain}>
        Show the meeting again
      </Button>
      <Button look="danger" onClick={() => call.leave()}>
        Leave
      </Button>
    </>
  );
  return (
    <MessagePage title="This page has stopped working" actions={actions}>
      You are still in the meeting: the others see and hear what you send.
    </MessagePage>
  );
}

interface PasscodePageProps {
  readonly wrong: Problem | undefined;
  readonly onSubmit: (passcode: string) => void;
}

function PasscodePage({ wrong, onSubmit }: PasscodePageProps) {
  const [text, setText] = useState("");
  const [error, setError] = useState(wrong && `${wrong.title}. ${wrong.advice}`);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (text.trim()) {
      onSubmit(text.trim());
    } else {
      setError("Type the passcode from the invitation.");
    }
  };
  return (
    <MessagePage
      title="This meeting has a passcode"
      icon={<KeyRound aria-hidden="true" size={40} className="text-accent-text" />}
    >
      <form onSubmit={submit} className="flex w-72 max-w-full flex-col gap-4" noValidate>
        <Field
          label="Passcode"
          autoFocus
          autoComplete="off"
          maxLength={32}
          value={text}
          error={error}
          onChange={(event) => {
            setText(event.target.value);
            setError(undefined);
          }}
        />
        <Button type="submit" look="primary">
          Continue
        </Button>
      </form>
    </MessagePage>
  );
}

const FINAL: readonly Problem["kind"][] = ["unknown-meeting", "ended"];

function ProblemPage({ problem, onAgain }: { problem: Problem; onAgain: () => void }) {
  const actions = (
    <>
      {(problem.kind === "guests-not-allowed" || problem.kind === "signed-out") && (
        <ButtonLink href="/sign-in" look="primary">
          {"Sign in"}
        </ButtonLink>
      )}
      {!FINAL.includes(problem.kind) && (
        <Button look="primary" onClick={onAgain}>
          Try again
        </Button>
      )}
      <ButtonLink href="/">Go to the start</ButtonLink>
    </>
  );
  const icon = <CircleAlert aria-hidden="true" size={40} className="text-warn" />;
  return (
    <MessagePage title={problem.title} icon={icon} actions={actions}>
      {problem.advice}
    </MessagePage>
  );
}

const OVER: Readonly<Record<Ending, { title: string; text: string; icon: ReactNode; again: boolean }>> = {
  left: {
    title: "You left the meeting",
    text: "It goes on without you. You can come back as long as it lasts.",
    icon: <DoorClosed aria-hidden="true" size={40} className="text-accent-text" />,
    again: true,
  },
  ended: {
    title: "The meeting is over",
    text: "The host ended it for everyone.",
    icon: <CircleCheck aria-hidden="true" size={40} className="text-accent-text" />,
    again: false,
  },
  removed: {
    title: "You were removed from the meeting",
    text: "A host took you out. If you think that was a mistake, ask them before you come back.",
    icon: <UserX aria-hidden="true" size={40} className="text-warn" />,
    again: false,
  },
  elsewhere: {
    title: "You are in this meeting on another page",
    text: "It goes on there. Come back in here to be in it on this page too.",
    icon: <DoorClosed aria-hidden="true" size={40} className="text-accent-text" />,
    again: true,
  },
  failed: {
    title: "The meeting can't go on here",
    text: "Try to come back in.",
    icon: <CircleAlert aria-hidden="true" size={40} className="text-warn" />,
    again: true,
  },
};

function OverPage({ ending, onAgain }: { ending: Ending; onAgain: () => void }) {
  const { title, text, icon, again } = OVER[ending];
  const actions = (
    <>
      {again && (
        <Button look="primary" onClick={onAgain}>
          Come back in
        </Button>
      )}
      <ButtonLink href="/">Go to the start</ButtonLink>
    </>
  );
  return (
    <MessagePage title={title} icon={icon} actions={actions}>
      {text}
    </MessagePage>
  );
}
