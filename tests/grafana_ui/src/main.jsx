// A board on Grafana's grid. This is not Grafana: its components draw the panels, nothing else.
import { ThemeContext } from '@grafana/data';
import { GlobalStyles, PortalContainer } from '@grafana/ui';
import React from 'react';
import { createRoot } from 'react-dom/client';

import { dataOf, theme } from './data.js';
import { Drawing } from './panels.jsx';

const CELL = 30;
const GAP = 8;
const TITLE = 30;
const PADDING = 8;
const width = Number(new URLSearchParams(location.search).get('w') ?? 1920);
const column = (width - GAP) / 24;

function place({ x, y, w, h }) {
  return {
    left: GAP + x * column,
    top: GAP + y * (CELL + GAP),
    width: w * column - GAP,
    height: h * (CELL + GAP) - GAP,
  };
}

function Panel({ panel, data, now }) {
  const box = place(panel.gridPos);
  const frame = {
    position: 'absolute',
    ...box,
    boxSizing: 'border-box',
    background: theme.colors.background.primary,
    border: `1px solid ${theme.colors.border.weak}`,
    color: theme.colors.text.primary,
    overflow: 'hidden',
  };
  const padding = panel.type === 'table' ? 0 : PADDING; // tables have their own
  const inner = { width: box.width - 2 * padding - 2, height: box.height - TITLE - PADDING };
  return (
    <section data-testid="panel" aria-label={panel.title} style={frame}>
      <h2 style={{ margin: 0, padding: '6px 8px', font: `500 14px/18px ${theme.typography.fontFamily}` }}>{panel.title}</h2>
      <div style={{ padding: `0 ${padding}px`, ...inner }}>
        <Drawing panel={panel} data={data} now={now} {...inner} />
      </div>
    </section>
  );
}

function Row({ panel }) {
  const style = { position: 'absolute', ...place(panel.gridPos), color: theme.colors.text.primary };
  return <h1 style={{ ...style, margin: 0, font: `500 16px/30px ${theme.typography.fontFamily}` }}>{panel.title}</h1>;
}

const board = await (await fetch('/board.json')).json();
const now = Math.floor(Date.now() / 1000);
const drawn = await Promise.all(
  board.panels.map(async (panel) => ({ panel, data: await dataOf(panel, now).catch((error) => error) }))
);
const bottom = Math.max(...board.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
createRoot(document.getElementById('root')).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <main style={{ position: 'relative', width, height: GAP + bottom * (CELL + GAP) }}>
      {drawn.map(({ panel, data }) =>
        panel.type === 'row' ? (
          <Row key={panel.id} panel={panel} />
        ) : (
          <Panel key={panel.id} panel={panel} data={data} now={now} />
        )
      )}
    </main>
    <PortalContainer />
  </ThemeContext.Provider>
);
setTimeout(() => {
  document.title = 'drawn';
}, 1500);
