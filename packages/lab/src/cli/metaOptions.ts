/** The options of `adastra meta`. */

import { metaMethods } from "../meta/metaProblem.ts";
import { metaProblems } from "../meta/problems.ts";
import { type CommandSpec, json } from "./optionSpec.ts";
import { amount, count, type Member, members, oneOf, text } from "./optionValues.ts";

const splits = ["test", "valid"] as const;

export interface MetaOptions {
  method?: (typeof metaMethods)[number];
  rate?: number;
  zeta?: number;
  rounds?: number;
  seed?: number;
  out?: string;
  resume?: boolean;
  workers?: number;
  tasks?: number;
  shots?: number;
  coef?: number;
  split?: (typeof splits)[number];
  key?: string;
  members?: readonly Member[];
  invitation?: string;
  founder?: string;
  listen?: string;
  json?: boolean;
}

export const metaSpec: CommandSpec<MetaOptions> = {
  summary:
    "learn an initialisation, and learning rates, over many tasks; judge them on tasks that were not trained on",
  argument: {
    name: "action...",
    description: `train PROBLEM, one of ${metaProblems.map(({ info }) => `${info.name} (${info.title})`).join(", ")}; evaluate FOLDER, the folder of a run; invite PROBLEM, serve and join: the clients of a run at other peers`,
  },
  options: {
    method: {
      value: "name",
      description: `train, invite: what trains within tasks: ${metaMethods.join(", ")}`,
      default: "aruba",
      parse: (where, value) => oneOf(where, value, metaMethods),
    },
    rate: {
      value: "x",
      description:
        "train, invite: the rate within tasks, of ARUBA the first one; evaluate: the rate of fine-tuning by SGD or Adam",
      default: "train: the problem's; evaluate: that of the run",
      parse: amount,
    },
    zeta: {
      value: "x",
      description:
        "train, invite: ζ of ARUBA; the smaller against gradients, the sooner tasks outweigh the first rate",
      default: "1",
      parse: amount,
    },
    workers: {
      value: "n",
      description:
        "train: processes that clients run in, with the same result; those of a round run at once unless a task goes on from what the one before learned",
      default: "none: in this process",
      parse: count,
    },
    rounds: {
      value: "n",
      description: "train, invite: rounds of tasks",
      default: "the problem's",
      parse: count,
    },
    seed: {
      value: "n",
      description: "train, invite: of everything that is drawn; evaluate: of the test tasks",
      default: "1",
      parse: count,
    },
    out: {
      value: "folder",
      description: "train, serve: where checkpoints and preset.safetensors are written",
      default: "runs/<time>",
      parse: text,
    },
    resume: { description: "train, serve: go on with the run in --out" },
    tasks: {
      value: "n",
      description: "evaluate: tasks to judge by",
      default: "1000, of clients all",
      parse: count,
    },
    shots: {
      value: "n",
      description: "evaluate: examples of a class, or points, to train on in a task",
      default: "the problem's",
      parse: count,
    },
    coef: {
      value: "x",
      description: "evaluate: c of ARUBA++",
      default: "0, plain ARUBA",
      parse: amount,
    },
    split: {
      value: "name",
      description: "evaluate: test, or valid to choose by",
      default: "test",
      parse: (where, value) => oneOf(where, value, splits),
    },
    key: {
      value: "file",
      description: "invite, serve, join: this peer's key; made where there is none",
      default: "adastra.key",
      parse: text,
    },
    members: {
      value: "peers",
      description:
        "invite: comma-separated, the server as ID@ADDRESS, with an address such as /ip4/192.0.2.1/tcp/4001, then the clients' ids",
      default: "none",
      parse: members,
    },
    invitation: {
      value: "file",
      description: "invite: where the invitation is written; serve, join: the invitation",
      default: "invitation.json",
      parse: text,
    },
    founder: {
      value: "id",
      description: "serve, join: the peer id whose invitations are taken",
      default: "nobody's",
      parse: text,
    },
    listen: {
      value: "address",
      description: "serve: where to listen, where that is not what the invitation tells",
      default: "as invited",
      parse: text,
    },
    json,
  },
};
