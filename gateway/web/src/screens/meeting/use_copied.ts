import { useEffect, useState } from "react";

/** Copies text and says so for two seconds. */
export function useCopied(): { copied: boolean; copy: (text: string) => void } {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) {
      return;
    }
    const timer = setTimeout(() => setCopied(false), 2_000);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = (text: string) => {
    navigator.clipboard.writeText(text).then(
      () => setCopied(true),
      // Refused without a gesture or permission: the address bar holds the same link.
      () => setCopied(false),
    );
  };
  return { copied, copy };
}
