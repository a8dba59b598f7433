import type { Call } from "@/session/call";
export default function Room({ call }: { call: Call; passcode: string }) {
  return <p>{call.session.store.get().selfId}</p>;
}
