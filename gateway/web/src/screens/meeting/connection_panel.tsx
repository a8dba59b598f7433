import { CircleAlert, CircleCheck, CircleDashed } from "lucide-react";
import type { ReactNode } from "react";
import { Sparkline } from "@/design/sparkline";
import type { Explanation } from "@/quality/explanation";
import { line, type Moment } from "@/quality/history";
import { bitrate } from "@/quality/local_stats";
import { type Connection, useConnection } from "@/quality/use_connection";
import { bits, milliseconds, pictureWords, sendingWords, share, sizeName, verdict, wayWords } from "@/quality/words";
import type { Call } from "@/session/call";
import type { TrackSource } from "@/session/model";
import { participantById, type SessionState } from "@/session/state";
import { PanelHead } from "./panel_head";

export interface ConnectionPanelProps {
  readonly call: Call;
  readonly state: SessionState;
  readonly onClose: () => void;
}

/** How good the connection is, what each picture gets and why it is not more. */
export default function ConnectionPanel({ call, state, onClose }: ConnectionPanelProps) {
  const connection = useConnection(call);
  return <ConnectionDetails connection={connection} state={state} onClose={onClose} />;
}

interface DetailsProps {
  readonly connection: Connection;
  readonly state: SessionState;
  readonly onClose: () => void;
}

export function ConnectionDetails({ connection, state, onClose }: DetailsProps) {
  const { explanation, moments, stats, silent } = connection;
  return (
    <aside
      aria-label="Connection details"
      className="absolute inset-0 z-10 flex flex-col bg-surface sm:static sm:m-2 sm:ml-0 sm:w-88 sm:rounded-panel"
      onKeyDown={({ key }) => key === "Escape" && onClose()}
    >
      <PanelHead title="Connection details" onClose={onClose} />
      <div className="min-h-0 flex-1 space-y-5 overflow-y-auto px-4 pb-4">
        <Summary connection={connection} />
        <Section title="What reaches you">
          <Lines moments={moments} />
        </Section>
        {explanation && (
          <Section title="Pictures you see">
            <Pictures explanation={explanation} state={state} />
          </Section>
        )}
        <Section title="What you send">
          <Sending connection={connection} state={state} />
        </Section>
        <Section title="How you are connected">
          <p className="text-sm text-quiet">{wayWords(stats?.way)}</p>
        </Section>
        {silent && <p className="text-sm text-warn">The server gives no answer. Trying again.</p>}
      </div>
    </aside>
  );
}

const MOODS = {
  good: { Icon: CircleCheck, colour: "text-accent-text" },
  fair: { Icon: CircleAlert, colour: "text-warn" },
  poor: { Icon: CircleAlert, colour: "text-danger-text" },
  unknown: { Icon: CircleDashed, colour: "text-quiet" },
} as const;

function Summary({ connection }: { connection: Connection }) {
  const { mood, text } = verdict(connection.explanation);
  const { Icon, colour } = MOODS[mood];
  return (
    <p role="status" data-mood={mood} className="flex gap-2.5 rounded-control bg-raised p-3 text-sm">
      <Icon aria-hidden="true" size={20} className={`mt-px shrink-0 ${colour}`} />
      {text}
    </p>
  );
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="space-y-2">
      <h3 className="text-sm font-semibold">{title}</h3>
      {children}
    </section>
  );
}

interface Value {
  readonly label: string;
  readonly of: (moment: Moment) => number;
  readonly words: (value: number) => string;
  /** Of the line, so that small values do not look like mountains. */
  readonly top: number;
}

const unknown = (words: (value: number) => string) => (value: number) => (value > 0 ? words(value) : "not known yet");

const VALUES: readonly Value[] = [
  { label: "Can carry", of: ({ estimated }) => estimated, words: unknown(bits), top: 500_000 },
  { label: "Sent to you", of: ({ sent }) => sent, words: bits, top: 500_000 },
  { label: "Wanted", of: ({ wanted }) => wanted, words: bits, top: 500_000 },
  { label: "Lost", of: ({ lost }) => lost, words: share, top: 0.1 },
  { label: "Round trip", of: ({ roundTripMs }) => roundTripMs, words: unknown(milliseconds), top: 100 },
  { label: "Waiting in line", of: ({ queueingDelayMs }) => queueingDelayMs, words: milliseconds, top: 100 },
];

function Lines({ moments }: { moments: readonly Moment[] }) {
  const now = moments.at(-1);
  return (
    <dl>
      {VALUES.map(({ label, of, words, top }) => (
        <div key={label} className="flex min-h-9 items-center gap-3">
          <dt className="min-w-0 flex-1 text-sm text-quiet">{label}</dt>
          <dd className="flex items-center gap-3 text-sm tabular-nums">
            <Sparkline points={line(moments, of)} top={top} />
            <span className="w-24 text-right">{now ? words(of(now)) : "–"}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Pictures({ explanation, state }: { explanation: Explanation; state: SessionState }) {
  const shown = explanation.slots.flatMap((slot) => {
    const name = pictureName(state, slot.mid);
    return name ? [{ slot, name }] : [];
  });
  if (shown.length === 0) {
    return <p className="text-sm text-quiet">Nobody shows a picture now.</p>;
  }
  return (
    <ul className="space-y-2.5">
      {shown.map(({ slot, name }) => (
        <li key={slot.mid} data-reason={slot.reason} data-mid={slot.mid} className="text-sm">
          <span className="flex justify-between gap-3">
            <span className="truncate font-medium">{name}</span>
            <span className="shrink-0 tabular-nums">{pictureWords(slot)}</span>
          </span>
          {slot.words && <span className="block text-quiet">{slot.words}</span>}
        </li>
      ))}
    </ul>
  );
}

/** Whose picture a slot shows; empty: it is none that is on the stage. */
function pictureName(state: SessionState, mid: string): string {
  const slot = state.slots[mid];
  const person = slot && participantById(state, slot.participant);
  const track = person?.tracks.find((one) => one.mid === slot?.sourceMid);
  if (!person || track?.kind !== "video" || track.muted) {
    return "";
  }
  return track.source === "screen" ? `${person.displayName}'s screen` : person.displayName;
}

const SOURCES: Readonly<Partial<Record<TrackSource, string>>> = { camera: "Camera", screen: "Screen" };

function Sending({ connection, state }: { connection: Connection; state: SessionState }) {
  const { stats, before } = connection;
  const tracks = participantById(state, state.selfId)?.tracks ?? [];
  const sending = tracks.filter(({ kind, muted }) => kind === "video" && !muted);
  if (sending.length === 0) {
    return <p className="text-sm text-quiet">You send no picture now.</p>;
  }
  return sending.map(({ mid, source }) => (
    <dl key={mid} className="text-sm">
      {(stats?.sent ?? [])
        .filter((encoding) => encoding.mid === mid)
        .sort((a, b) => ORDER.indexOf(a.rid) - ORDER.indexOf(b.rid))
        .map((encoding) => {
          const needed = !encoding.rid || (state.encodings[mid]?.includes(encoding.rid) ?? true);
          return (
            <div key={encoding.rid} data-rid={encoding.rid} className="flex justify-between gap-3 py-0.5">
              <dt className="shrink-0">{`${SOURCES[source] ?? ""} ${sizeName(encoding.rid).toLowerCase()}`}</dt>
              <dd className="text-right text-quiet tabular-nums">
                {sendingWords(encoding, bitrate(before, encoding), needed)}
              </dd>
            </div>
          );
        })}
    </dl>
  ));
}

const ORDER = ["q", "h", "f"];
