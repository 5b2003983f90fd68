import { index, pgTable, text, timestamp } from 'drizzle-orm/pg-core';

const instant = () => timestamp({ withTimezone: true, mode: 'date' });

/** Who has signed in to the pages. Of the secret that the browser holds only the SHA-256 is kept. */
export const pageSessions = pgTable(
  'page_sessions',
  {
    digest: text().primaryKey(),
    /** Whose portal it opens; null: the admin's pages. */
    tenant_id: text(),
    /** `admin:<mark of the admin token>`, `link` or `key:<id>`: a session ends with what opened it. */
    opened_with: text().notNull(),
    created_at: instant().notNull(),
    expires_at: instant().notNull(),
  },
  (table) => [index().on(table.expires_at)],
);

/** One-time links to a tenant's portal. Of the token in the link only the SHA-256 is kept. */
export const pageLinks = pgTable(
  'page_links',
  {
    digest: text().primaryKey(),
    tenant_id: text().notNull(),
    created_at: instant().notNull(),
    expires_at: instant().notNull(),
    used_at: instant(),
  },
  (table) => [index().on(table.expires_at)],
);
