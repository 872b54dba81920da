/** The page's start: a finished comparison that it carries, or a running one that it listens to. */
import { viewOfComparison } from "../../studio/state.ts";
import type { PageData } from "../pageData.ts";
import { Dashboard } from "./dashboard.ts";
import { byId } from "./dom.ts";
import { followLive } from "./live.ts";

const data: PageData = JSON.parse(byId("data").textContent ?? "");
const dashboard = new Dashboard();
if (data.mode === "report") {
  dashboard.show(viewOfComparison(data.comparison));
} else {
  followLive(data.events, dashboard);
}
