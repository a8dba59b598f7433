import { lazy, Suspense } from "react";
import { MessagePage } from "@/design/page";
import { location, parseRoute } from "@/router";
import { Home } from "@/screens/home";
import { missingFeature, Unsupported } from "@/screens/unsupported";
import { useStore } from "@/session/store";

const Sign = lazy(() => import("@/screens/sign"));
const MeetingRoute = lazy(() => import("@/screens/meeting_route"));

/** The whole client: one screen per address. */
export function App() {
  return (
    <Suspense fallback={<MessagePage busy title="Loading" />}>
      <Screen />
    </Suspense>
  );
}

function Screen() {
  const route = parseRoute(useStore(location));
  switch (route.screen) {
    case "home":
      return <Home />;
    case "sign-in":
      return <Sign key="in" mode="in" />;
    case "sign-up":
      return <Sign key="up" mode="up" />;
    case "meeting": {
      const missing = missingFeature();
      return missing ? <Unsupported missing={missing} /> : <MeetingRoute key={route.id} id={route.id} />;
    }
    case "unknown":
      return (
        <MessagePage title="There is nothing at this address" actions={<HomeLink />}>
          Check the link, or start from the beginning.
        </MessagePage>
      );
  }
}

function HomeLink() {
  return (
    <a href="/" className="inline-flex min-h-11 items-center rounded-control bg-accent px-5 font-medium text-on-accent">
      Go to the start
    </a>
  );
}
