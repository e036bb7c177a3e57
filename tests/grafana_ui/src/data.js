// What Grafana does between a panel's queries and what it draws: frames as its Prometheus
// datasource makes them, its own transformations, its own overrides.
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  createTheme,
  FieldConfigOptionsRegistry,
  FieldType,
  identityOverrideProcessor,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} from '@grafana/data';
import { firstValueFrom } from 'rxjs';

export const theme = createTheme({ colors: { mode: 'dark' } });

const SPAN_S = 300;
const STEP_S = 5;

// Some are listed under two names.
const transformers = new Map(Object.values(standardTransformers).map((each) => [each.id, each]));
standardTransformersRegistry.setInit(() =>
  [...transformers.values()].map((each) => ({ id: each.id, name: each.name, transformation: async () => each }))
);

const option = (id, isCustom) => ({
  id: isCustom ? `custom.${id}` : id,
  path: id,
  name: id,
  isCustom,
  process: identityOverrideProcessor,
  shouldApply: () => true,
  settings: {},
});
const registry = new FieldConfigOptionsRegistry(() => [
  ...['displayName', 'unit', 'decimals', 'min', 'max', 'noValue', 'color', 'thresholds', 'mappings', 'links'].map(
    (id) => option(id, false)
  ),
  ...[
    'drawStyle', 'lineWidth', 'lineStyle', 'lineInterpolation', 'fillOpacity', 'showPoints', 'spanNulls', 'stacking',
    'thresholdsStyle', 'cellOptions', 'align', 'filterable', 'inspect', 'axisPlacement', 'width', 'minWidth',
  ].map((id) => option(id, true)),
]);

async function ask(path, parameters) {
  const response = await fetch(`/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const answer = await response.json();
  if (answer.status !== 'success') {
    throw new Error(answer.error);
  }
  return answer.data.result;
}

const named = (legend, labels) => legend.replace(/{{\s*(\w+)\s*}}/g, (_, label) => labels[label] ?? '');

function seriesFrame(target, { metric, value, values }) {
  const points = values ?? [value];
  const { __name__: _, ...labels } = metric;
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: points.map(([at]) => at * 1000), config: { interval: STEP_S * 1000 } },
      {
        name: 'Value',
        type: FieldType.number,
        labels,
        values: points.map(([, each]) => Number(each)),
        config: { displayNameFromDS: named(target.legendFormat, labels) },
      },
    ],
  });
}

function tableFrame(target, found, isOnly) {
  const labels = [...new Set(found.flatMap(({ metric }) => Object.keys(metric)))].filter((name) => name !== '__name__');
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: found.map(({ value }) => value[0] * 1000), config: {} },
      ...labels.map((name) => ({
        name,
        type: FieldType.string,
        values: found.map(({ metric }) => metric[name] ?? ''),
        config: {},
      })),
      {
        name: isOnly ? 'Value' : `Value #${target.refId}`,
        type: FieldType.number,
        values: found.map(({ value }) => Number(value[1])),
        config: {},
      },
    ],
  });
}

async function frames(panel, now) {
  const answers = await Promise.all(
    panel.targets.map(async (target) => {
      const found = target.range
        ? await ask('query_range', { query: target.expr, start: now - SPAN_S, end: now, step: STEP_S })
        : await ask('query', { query: target.expr, time: now });
      if (target.format === 'table') {
        return [tableFrame(target, found, panel.targets.length === 1)];
      }
      return found.map((series) => seriesFrame(target, series));
    })
  );
  return answers.flat();
}

export const timeRange = (now, dateTime) => ({
  from: dateTime((now - SPAN_S) * 1000),
  to: dateTime(now * 1000),
  raw: { from: 'now-5m', to: 'now' },
});

export async function dataOf(panel, now) {
  if (!panel.targets) {
    return [];
  }
  const asked = await frames(panel, now);
  const transformed = await firstValueFrom(
    transformDataFrame(panel.transformations ?? [], asked, { interpolate: (text) => text })
  );
  const shown = applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registry,
    replaceVariables: (text) => text,
    theme,
    timeZone: 'browser',
  });
  cacheFieldDisplayNames(shown);
  return shown;
}
