import { scaleBand, scaleLinear } from 'd3-scale';
import { stack } from 'd3-shape';
import type { FC } from 'hono/jsx';
import { Table } from './table.tsx';

/** An amount of one series on one day. */
interface Point {
  day: string;
  series: string;
  value: number;
}

interface ChartProps {
  /** What it shows: the picture's name for who cannot see it. */
  title: string;
  /** All days of the period, also those without a point. */
  days: readonly string[];
  points: readonly Point[];
  shown: (value: number) => string;
  /** What is said where nothing was used. */
  empty: string;
}

const WIDTH = 760;
const HEIGHT = 240;
const LEFT = 64;
const RIGHT = 8;
const TOP = 12;
const BOTTOM = 26;
/** More colours than these are hard to tell apart: the rest is one. */
const MOST_SERIES = 6;
const REST = 'all others';

/** Stacked columns, a day each; the same as a table below. */
export const Chart: FC<ChartProps> = ({ days, empty, points, shown, title }) => {
  const names = seriesOf(points);
  const rows = rowsOf(days, names, points);
  const highest = Math.max(
    0,
    ...rows.map((row) => names.reduce((sum, name) => sum + Math.max(0, row.of[name] ?? 0), 0)),
  );
  if (highest === 0) return <div class="empty card">{empty}</div>;
  return (
    <figure class="card chart">
      <figcaption>{title}</figcaption>
      <ul class="legend">
        {names.map((name, index) => (
          <li>
            <svg viewBox="0 0 10 10" aria-hidden="true" focusable="false">
              <rect class={seriesClass(name, index)} width="10" height="10" rx="2" />
            </svg>
            {name}
          </li>
        ))}
      </ul>
      <Columns title={title} names={names} rows={rows} highest={highest} shown={shown} />
      <details>
        <summary>As a table</summary>
        <Table
          caption={title}
          rows={rows.filter(({ of }) => names.some((name) => of[name]))}
          empty={empty}
          columns={[
            { name: 'Day', cell: ({ day }) => day },
            ...names.map((name) => ({ name, number: true, cell: ({ of }: Row) => shown(of[name] ?? 0) })),
          ]}
        />
      </details>
    </figure>
  );
};

interface Row {
  day: string;
  of: Record<string, number>;
}

/** The biggest first. */
function seriesOf(points: readonly Point[]): string[] {
  const sums = new Map<string, number>();
  for (const { series, value } of points) sums.set(series, (sums.get(series) ?? 0) + value);
  const names = [...sums].sort(([, a], [, b]) => b - a).map(([name]) => name);
  return names.length > MOST_SERIES ? [...names.slice(0, MOST_SERIES - 1), REST] : names;
}

function rowsOf(days: readonly string[], names: readonly string[], points: readonly Point[]): Row[] {
  const rows = new Map<string, Row>(
    days.map((day) => [day, { day, of: Object.create(null) as Record<string, number> }]),
  );
  for (const { day, series, value } of points) {
    const of = rows.get(day)?.of;
    const name = names.includes(series) ? series : REST;
    if (of) of[name] = (of[name] ?? 0) + value;
  }
  return [...rows.values()];
}

const seriesClass = (name: string, index: number) => (name === REST ? 'rest' : `s${index + 1}`);

const Columns: FC<{
  title: string;
  names: string[];
  rows: Row[];
  highest: number;
  shown: (value: number) => string;
}> = ({ highest, names, rows, shown, title }) => {
  const x = scaleBand(
    rows.map(({ day }) => day),
    [LEFT, WIDTH - RIGHT],
  ).padding(0.2);
  const y = scaleLinear([0, highest], [HEIGHT - BOTTOM, TOP]).nice(4);
  // A correction may be negative; a stack of columns cannot show it, and the table does.
  const layers = stack<Row>()
    .keys(names)
    .value(({ of }, name) => Math.max(0, of[name] ?? 0))(rows);
  const every = Math.ceil(rows.length / 8);
  return (
    <svg
      class="columns"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={`${title}; the table below says the same`}
    >
      {y.ticks(4).map((tick) => (
        <g>
          <line class="grid" x1={LEFT} x2={WIDTH - RIGHT} y1={y(tick)} y2={y(tick)} />
          <text class="axis" x={LEFT - 8} y={y(tick) + 4} text-anchor="end">
            {shown(tick)}
          </text>
        </g>
      ))}
      {layers.map((layer, index) =>
        layer
          .filter(([from, to]) => to > from)
          .map(({ 0: from, 1: to, data }) => (
            <rect
              class={seriesClass(layer.key, index)}
              x={round(x(data.day) ?? 0)}
              y={round(y(to))}
              width={round(x.bandwidth())}
              height={round(Math.max(0.5, y(from) - y(to)))}
            />
          )),
      )}
      {rows.map(({ day }, index) =>
        index % every === 0 ? (
          <text class="axis" x={round((x(day) ?? 0) + x.bandwidth() / 2)} y={HEIGHT - 8} text-anchor="middle">
            {day.slice(5)}
          </text>
        ) : null,
      )}
    </svg>
  );
};

const round = (value: number) => Math.round(value * 10) / 10;
