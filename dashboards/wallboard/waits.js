// How long people waited, as a table of bars: one row up to each edge, the threshold among them.

import { count, limit, windowName } from "./format.js";
import { children, put } from "./page.js";
import { label } from "./texts.js";

const STEP = 1.5;

// One table per window of `waits`, each a list of counts up to each edge and beyond the last.
export function showWaits(place, waits, windows, thresholdS) {
  const sheets = children(place, "div", windows.length);
  windows.forEach((id, i) => {
    const sheet = sheets[i];
    sheet.className = "sheet bars";
    sheet.tabIndex = 0;
    sheet.role = "region";
    sheet.ariaLabel = `${label("How long they waited")}, ${windowName(id)}`;
    const table = children(sheet, "table", 1)[0];
    showBars(table, windowName(id), binned(waits[id], thresholdS), thresholdS);
  });
}

// Fewer and wider bins: none that is less than half as long again as the one before, and always one
// that ends at the threshold.
export function binned({ edges_s: edges, answered, abandoned }, thresholdS) {
  const bins = [];
  let kept = 0;
  let bin = { answered: 0, abandoned: 0 };
  [...edges, null].forEach((edge, i) => {
    bin.answered += answered[i];
    bin.abandoned += abandoned[i];
    if (edge !== null && edge !== thresholdS && edge < kept * STEP) return;
    bins.push({ ...bin, fromS: kept, toS: edge });
    bin = { answered: 0, abandoned: 0 };
    kept = edge;
  });
  const last = bins.findLastIndex(({ answered: a, abandoned: b, toS }) =>
    a + b > 0 || (toS !== null && toS <= thresholdS));
  return bins.slice(0, last + 1);
}

function showBars(table, name, bins, thresholdS) {
  const caption = table.caption ?? table.createCaption();
  put(caption, name);
  const head = table.tHead ?? table.createTHead();
  const titles = ["waited up to", "answered", "abandoned"];
  children(children(head, "tr", 1)[0], "th", titles.length).forEach((cell, i) => {
    cell.scope = "col";
    put(cell, label(titles[i]));
  });
  const most = Math.max(1, ...bins.flatMap(({ answered, abandoned }) => [answered, abandoned]));
  const rows = children(children(table, "tbody", 1, 2)[0], "tr", bins.length);
  bins.forEach((bin, i) => {
    const row = rows[i];
    const isLate = bin.toS === null || bin.toS > thresholdS;
    row.dataset.is = isLate ? "late" : "in-time";
    row.classList.toggle("threshold", bin.toS === thresholdS);
    const [title] = children(row, "th", 1);
    title.scope = "row";
    put(title, edgeWords(bin, thresholdS));
    const cells = children(row, "td", 2, 1);
    [bin.answered, bin.abandoned].forEach((number, j) => {
      put(children(cells[j], "span", 1)[0], count(number));
      cells[j].style.setProperty("--share", number / most);
    });
  });
}

function edgeWords({ fromS, toS }, thresholdS) {
  if (toS === null) return `${label("longer than")} ${limit(fromS)}`;
  return toS === thresholdS ? `${limit(toS)} (${label("threshold")})` : limit(toS);
}
