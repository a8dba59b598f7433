import { Copy } from "lucide-react";
import { Button } from "@/design/button";
import { useCopied } from "./use_copied";

/** For whoever is the first one in: how the others come. */
export function Alone({ link }: { link: string }) {
  const { copied, copy } = useCopied();
  return (
    <aside
      aria-label="Invite others"
      className="absolute bottom-5 left-1/2 z-10 flex w-[min(92%,420px)] -translate-x-1/2 flex-col gap-3 rounded-panel bg-surface p-4 shadow-lg"
    >
      <p>
        <strong className="block font-semibold">Nobody else is here yet</strong>
        <span className="text-sm text-quiet">Send this link to everyone you want to talk to.</span>
      </p>
      <p className="select-all truncate rounded-control bg-raised px-3 py-2 text-sm">{link}</p>
      <Button look="primary" onClick={() => copy(link)}>
        <Copy aria-hidden="true" size={18} />
        {copied ? "Link copied" : "Copy invite link"}
      </Button>
    </aside>
  );
}
