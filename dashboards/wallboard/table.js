// Tables that are written again every second: cells that are there are kept, so that a reader's
// place in them stays.

import { children, put } from "./page.js";
import { label, texts } from "./texts.js";

// Write a table: `head` names the columns, each body has rows and may have a heading. A row is
// {label, note, cells, isUsed}; a cell is [text, note] or an element.
export function fill(table, head, bodies) {
  const headRow = children(table.tHead, "tr", 1)[0];
  children(headRow, "th", head.length).forEach((cell, i) => {
    cell.scope = "col";
    put(cell, label(head[i]));
  });
  const groups = children(table, "tbody", bodies.length, 1);
  bodies.forEach(({ heading, rows }, i) => {
    const lines = heading ? [{ label: heading, cells: [], isHeading: true }, ...rows] : rows;
    const shown = children(groups[i], "tr", lines.length);
    lines.forEach((line, j) => writeRow(shown[j], line));
  });
}

function writeRow(row, { label: name, note = "", cells, isHeading = false, isUsed = false }) {
  row.classList.toggle("used", isUsed);
  const [title] = children(row, "th", 1);
  title.scope = isHeading ? "rowgroup" : "row";
  writeCell(title, [isUsed ? texts.used(label(name)) : label(name), note]);
  const shown = children(row, "td", cells.length, 1);
  cells.forEach((cell, i) => writeCell(shown[i], cell));
}

function writeCell(element, [text, note = ""]) {
  put(children(element, "span", 1)[0], text);
  put(children(element, "small", 1, 1)[0], note);
}

// Write pairs of a name and what it is.
export function facts(list, pairs) {
  children(list, "div", pairs.length).forEach((line, i) => {
    put(children(line, "dt", 1)[0], label(pairs[i][0]));
    put(children(line, "dd", 1, 1)[0], pairs[i][1]);
  });
}
