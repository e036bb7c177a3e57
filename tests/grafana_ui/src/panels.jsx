// Grafana's components, given what its panels would give them.
import { dateTime, getDisplayValueAlignmentFactors, getFieldDisplayValues, VizOrientation } from '@grafana/data';
import { BarGauge, BigValue, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import React from 'react';

import { theme, timeRange } from './data.js';

const values = ({ panel, data }) =>
  getFieldDisplayValues({
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text,
    theme,
    data,
    timeZone: 'browser',
  });

// A value's own config, where an override of its query has been applied.
function Stat(given) {
  const { panel, width, height } = given;
  const found = () => values(given);
  return (
    <VizRepeater
      getValues={found}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      width={width}
      height={height}
      orientation={panel.options.orientation ?? VizOrientation.Auto}
      autoGrid
      renderCounter={0}
      source={given.data}
      itemSpacing={3}
      renderValue={({ value, width, height, alignmentFactors, count }) => (
        <BigValue
          value={value.display}
          width={width}
          height={height}
          count={count}
          theme={theme}
          alignmentFactors={alignmentFactors}
          colorMode={panel.options.colorMode}
          graphMode={panel.options.graphMode}
          justifyMode={panel.options.justifyMode}
          textMode={panel.options.textMode}
          text={panel.options.text}
          disableWideLayout={!panel.options.wideLayout}
        />
      )}
    />
  );
}

function Bars(given) {
  const { panel, width, height } = given;
  return (
    <VizRepeater
      getValues={() => values(given)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      width={width}
      height={height}
      orientation={VizOrientation.Horizontal}
      renderCounter={0}
      source={given.data}
      itemSpacing={6}
      renderValue={({ value, width, height, alignmentFactors }) => (
        <BarGauge
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          width={width}
          height={height}
          theme={theme}
          orientation={VizOrientation.Horizontal}
          alignmentFactors={alignmentFactors}
          displayMode={panel.options.displayMode}
          valueDisplayMode={panel.options.valueMode}
          namePlacement={panel.options.namePlacement}
          showUnfilled={panel.options.showUnfilled}
        />
      )}
    />
  );
}

const Lines = ({ panel, data, width, height, now }) =>
  data.length ? (
    <TimeSeries
      frames={data}
      width={width}
      height={height}
      timeRange={timeRange(now, dateTime)}
      timeZone="browser"
      legend={panel.options.legend}
      options={panel.options}
    />
  ) : (
    <div>{panel.fieldConfig.defaults.noValue}</div>
  );

const Table = ({ panel, data: [frame], width, height }) => (
  <TableNG
    data={frame}
    width={width}
    height={height}
    noHeader={false}
    showTypeIcons={false}
    sortBy={panel.options.sortBy}
    cellHeight={panel.options.cellHeight}
    timeRange={undefined}
    structureRev={1}
    getActions={() => []}
    replaceVariables={(text) => text}
  />
);

const DRAWN = { stat: Stat, bargauge: Bars, timeseries: Lines, table: Table };

export class Drawing extends React.Component {
  state = {};

  static getDerivedStateFromError(error) {
    return { error };
  }

  render() {
    const { error } = this.state;
    const Drawn = DRAWN[this.props.panel.type];
    if (error || this.props.data instanceof Error) {
      return <div data-testid="panel-error">{String(error ?? this.props.data)}</div>;
    }
    return Drawn ? <Drawn {...this.props} /> : <div>{this.props.panel.type}: not drawn here</div>;
  }
}
