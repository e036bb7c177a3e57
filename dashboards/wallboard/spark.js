// The last hour as a line: sixty values, the newest at the right, a gap where one is not known.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 20;

// An empty drawing, to be filled by `draw`.
export function sparkline() {
  const svg = shape("svg", { preserveAspectRatio: "none", role: "img", class: "spark" });
  svg.append(shape("path", { class: "area" }), shape("path", { class: "goal" }));
  svg.append(shape("path", { class: "line" }));
  return svg;
}

// Draw `values` from 0 to `top`; `goal` is a level line. `words` says the same to who cannot see.
export function draw(svg, values, { top, goal = null, words }) {
  const width = Math.max(1, values.length - 1);
  const at = (value) => ((1 - Math.min(value, top) / top) * (HEIGHT - 1) + 0.5).toFixed(2);
  const runs = known(values);
  const line = runs.map((run) =>
    run.map(([x, value], i) => `${i === 0 ? "M" : "L"}${x} ${at(value)}`).join("") +
    (run.length === 1 ? "h0.6" : ""),
  );
  const area = runs.map((run, i) =>
    `${line[i]}L${run.at(-1)[0]} ${HEIGHT}L${run[0][0]} ${HEIGHT}Z`,
  );
  const [areaShape, goalShape, lineShape] = svg.children;
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  areaShape.setAttribute("d", area.join(""));
  goalShape.setAttribute("d", goal === null ? "" : `M0 ${at(goal)}H${width}`);
  lineShape.setAttribute("d", line.join(""));
  svg.ariaLabel = words;
}

// The lowest and the highest of what is known, null where nothing is.
export function extremes(values) {
  const numbers = values.filter((value) => value !== null);
  return numbers.length === 0 ? null : [Math.min(...numbers), Math.max(...numbers)];
}

function known(values) {
  const runs = [];
  let run = null;
  values.forEach((value, x) => {
    if (value === null) {
      run = null;
      return;
    }
    if (run === null) runs.push((run = []));
    run.push([x, value]);
  });
  return runs;
}

export function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
