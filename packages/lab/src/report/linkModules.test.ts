import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { linkModules } from "./linkModules.ts";

/** Links the modules and runs them with an array `out` to write to. */
function run(modules: Readonly<Record<string, string>>): unknown[] {
  const out: unknown[] = [];
  runInNewContext(
    linkModules("app/main.js", (path) => modules[path]!),
    { out },
  );
  return out;
}

test("modules run once each, after what they import, with names of their own", () => {
  const out = run({
    "app/main.js": `import { a } from "./a.js";\nimport {\n  b as second,\n} from "../shared/b.js";\nconst secret = "main";\nout.push(secret, a(), second);`,
    "app/a.js": `import { b } from "../shared/b.js";\nconst secret = "a";\nexport function a() {\n  return secret + b;\n}\n//# sourceMappingURL=a.js.map`,
    "shared/b.js": `const secret = "b";\nout.push("b runs");\nexport const b = secret;\nexport class C {\n}\nexport {};`,
  });
  expect(out).toEqual(["b runs", "main", "ab", "b"]);
});

test("forms that it does not know are refused by module and line", () => {
  expect(() => run({ "app/main.js": "export default 1;" })).toThrow(
    'linkModules: "app/main.js" must import and export by name only, got `export default 1;`',
  );
  expect(() => run({ "app/main.js": 'import * as a from "./a.js";' })).toThrow(/by name only/);
  expect(() => run({ "app/main.js": 'import { a } from "a";' })).toThrow(/by name only/);
});

test("a cycle is refused", () => {
  const cycle = {
    "app/main.js": 'import { a } from "./a.js";',
    "app/a.js": 'import { b } from "./main.js";',
  };
  expect(() => run(cycle)).toThrow(
    'linkModules: imports must not form a cycle, got one through "app/main.js"',
  );
});
