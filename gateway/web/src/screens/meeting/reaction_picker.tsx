import { Smile } from "lucide-react";
import { Popover } from "radix-ui";
import { useState } from "react";
import { Control } from "@/design/control";

const REACTIONS: readonly { emoji: string; name: string }[] = [
  { emoji: "👍", name: "Thumbs up" },
  { emoji: "👏", name: "Applause" },
  { emoji: "❤️", name: "Heart" },
  { emoji: "😂", name: "Laughter" },
  { emoji: "😮", name: "Surprise" },
  { emoji: "🎉", name: "Celebration" },
];

/** One of a few emoji for everyone to see. */
export function ReactionPicker({ onPick }: { onPick: (emoji: string) => void }) {
  const [open, setOpen] = useState(false);
  return (
    <Popover.Root open={open} onOpenChange={setOpen}>
      <Popover.Trigger asChild>
        <Control label="React" tone={open ? "active" : "plain"}>
          <Smile aria-hidden="true" size={22} />
        </Control>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          side="top"
          sideOffset={10}
          aria-label="Reactions"
          className="z-30 flex gap-1 rounded-panel bg-raised p-1.5 shadow-lg"
        >
          {REACTIONS.map(({ emoji, name }) => (
            <button
              key={emoji}
              type="button"
              aria-label={name}
              className="inline-flex size-11 items-center justify-center rounded-control text-2xl hover:bg-hover"
              onClick={() => {
                onPick(emoji);
                setOpen(false);
              }}
            >
              {emoji}
            </button>
          ))}
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}
