import type { Child, FC, PropsWithChildren } from 'hono/jsx';

/** Parameters of the page's address; '' leaves one out. */
export type Query = Record<string, string | undefined>;

/** The page's address with some parameters changed. */
export function href(path: string, query: Query, changes: Query = {}): string {
  const given = Object.entries({ ...query, ...changes }).filter((pair): pair is [string, string] => Boolean(pair[1]));
  const search = new URLSearchParams(given).toString();
  return search ? `${path}?${search}` : path;
}

export interface Column<Row> {
  name: string;
  /** Numbers stand to the right. */
  number?: boolean;
  /** By which the page sorts when it is clicked. */
  sort?: string;
  cell: (row: Row) => Child;
}

interface TableProps<Row> {
  /** For screen readers: what it is a table of. */
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  /** What is said where there are no rows. */
  empty: Child;
  sorting?: { path: string; query: Query; by: string; descending: boolean };
  /** Names a row, so that the live script finds its cells however the rows are sorted by then. */
  rowId?: (row: Row) => string;
}

/** The first column names the row. Wide ones scroll by themselves, also by keyboard. */
export function Table<Row>({ caption, columns, empty, rowId, rows, sorting }: TableProps<Row>) {
  if (rows.length === 0) return <div class="empty card">{empty}</div>;
  return (
    <section class="scroll" aria-label={caption} tabindex={0}>
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <Head column={column} sorting={sorting} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              {columns.map(({ cell, number }, place) => {
                if (place === 0) return <th scope="row">{cell(row)}</th>;
                const live = rowId && { id: `${encodeURIComponent(rowId(row))}-${place}`, 'data-fresh': '' };
                return (
                  <td class={number ? 'n' : ''} {...live}>
                    {cell(row)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Head<Row>({ column, sorting }: { column: Column<Row>; sorting: TableProps<Row>['sorting'] }) {
  const { name, number, sort } = column;
  const kind = number ? 'n' : '';
  if (!sorting || sort === undefined) {
    return (
      <th scope="col" class={kind}>
        {name}
      </th>
    );
  }
  const isSorted = sorting.by === sort;
  const turned = isSorted && !sorting.descending;
  const next = href(sorting.path, sorting.query, {
    sort,
    dir: isSorted ? (sorting.descending ? 'asc' : 'desc') : number ? 'desc' : 'asc',
    page: undefined,
  });
  return (
    <th
      scope="col"
      class={kind}
      {...(isSorted && { 'aria-sort': turned ? ('ascending' as const) : ('descending' as const) })}
    >
      <a href={next}>
        {name}
        <span class="arrow" aria-hidden="true">
          {isSorted ? (turned ? '▲' : '▼') : ''}
        </span>
      </a>
    </th>
  );
}

/** Pages that are counted. */
export const Pager: FC<{ path: string; query: Query; page: number; pages: number; total: number; what: string }> = ({
  page,
  pages,
  path,
  query,
  total,
  what,
}) => (
  <nav class="pager" aria-label="Pages of the table">
    <span class="muted">
      {total.toLocaleString('en-US')} {what}
      {pages > 1 && `, page ${page} of ${pages}`}
    </span>
    {page > 1 && <a href={href(path, query, { page: String(page - 1) })}>Previous</a>}
    {page < pages && <a href={href(path, query, { page: String(page + 1) })}>Next</a>}
  </nav>
);

/** Pages of which only the next one is known. */
export const More: FC<{ path: string; query: Query; next: string | null | undefined }> = ({ next, path, query }) => (
  <nav class="pager" aria-label="Pages of the table">
    {query.after && <a href={href(path, query, { after: undefined })}>To the beginning</a>}
    {next && <a href={href(path, query, { after: next })}>Next</a>}
  </nav>
);

export const Badge: FC<PropsWithChildren<{ kind: 'ok' | 'warn' | 'over' | 'off' }>> = ({ children, kind }) => (
  <span class={`badge ${kind}`}>{children}</span>
);
