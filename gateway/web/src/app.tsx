import { Boundary } from "@/design/boundary";
import { Button } from "@/design/button";
import { MessagePage } from "@/design/page";
import { type Part, usePart } from "@/design/part";
import { meetingRoute, sign } from "@/parts";
import { location, parseRoute } from "@/router";
import { Home } from "@/screens/home";
import { missingFeature, Unsupported } from "@/screens/unsupported";
import { useStore } from "@/session/store";

/** The whole client: one screen per address. */
export function App() {
  const path = useStore(location);
  return (
    <Boundary key={path} fallback={() => <BrokenPage title="This page has stopped working" />}>
      <Screen path={path} />
    </Boundary>
  );
}

function Screen({ path }: { path: string }) {
  const route = parseRoute(path);
  switch (route.screen) {
    case "home":
      return <Home />;
    case "sign-in":
    case "sign-up":
      return (
        <Loaded part={sign}>
          {({ default: Sign }) => <Sign key={route.screen} mode={route.screen === "sign-in" ? "in" : "up"} />}
        </Loaded>
      );
    case "meeting": {
      const missing = missingFeature();
      return missing ? (
        <Unsupported missing={missing} />
      ) : (
        <Loaded part={meetingRoute}>
          {({ default: MeetingRoute }) => <MeetingRoute key={route.id} id={route.id} />}
        </Loaded>
      );
    }
    case "unknown":
      return (
        <MessagePage title="There is nothing at this address" actions={<HomeLink />}>
          Check the link, or start from the beginning.
        </MessagePage>
      );
  }
}

/** A screen that is loaded when somebody comes to it. */
function Loaded<T>({ part, children }: { part: Part<T>; children: (module: T) => React.ReactNode }) {
  const state = usePart(part);
  switch (state.kind) {
    case "loading":
      return <MessagePage busy title="Loading" />;
    case "failed":
      return <BrokenPage title="This page couldn't be loaded" />;
    case "ready":
      return children(state.value);
  }
}

function BrokenPage({ title }: { title: string }) {
  const reload = (
    <Button look="primary" onClick={() => globalThis.location.reload()}>
      Reload the page
    </Button>
  );
  return (
    <MessagePage title={title} actions={reload}>
      Your network may be down, or Parley was updated while this page was open. Check your network, then reload.
    </MessagePage>
  );
}

function HomeLink() {
  return (
    <a href="/" className="inline-flex min-h-11 items-center rounded-control bg-accent px-5 font-medium text-on-accent">
      Go to the start
    </a>
  );
}
