// Runs programs of the page: reads cases from standard input, writes what they compute.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [page] = process.argv.slice(2);
const { buildWith, evaluator, path, stepper } = await import(pathToFileURL(`${page}/program.js`));
const { formula } = await import(pathToFileURL(`${page}/formula.js`));
buildWith((args, body) => new Function(args, body));
const told = {
  slope({ objective, points }) {
    const { value, slope } = evaluator(objective, objective.domain.length);
    return points.map((p) => {
      const g = [];
      return [slope(p, g), ...g, value(p)];
    });
  },
  step: ({ optimizer, cases }) => cases.map((given) => stepper(optimizer)(...given).map(Number)),
  path({ objective, optimizer, numbers, steps, dtype }) {
    const out = new Float64Array((objective.domain.length + 2) * (steps + 1));
    path(objective, optimizer, objective.domain.length, dtype)(objective.start, numbers, steps, out);
    return [...out];
  },
  formula({ texts, point }) {
    return texts.map((text) => {
      try {
        const made = { ...formula(text), key: text };
        const g = [];
        return [made.variables, evaluator(made, made.variables.length).slope(point, g), ...g];
      } catch (error) {
        return error.constructor.name === "FormulaError" ? error.message : String(error.stack);
      }
    });
  },
};
const asked = JSON.parse(readFileSync(0, "utf8"));
const plain = (key, x) => (typeof x === "number" && !Number.isFinite(x) ? String(x) : x);
process.stdout.write(JSON.stringify(asked.map(([kind, given]) => told[kind](given)), plain));
