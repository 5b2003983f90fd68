import type { FC, PropsWithChildren } from 'hono/jsx';
import { ASSETS } from '../assets.ts';
import type { Area } from '../session/guard.ts';
import { PostForm } from './forms.tsx';

export interface Frame {
  area: Area;
  title: string;
  /** The entry of the navigation that the page belongs to. */
  current?: string | undefined;
  /** Whose portal; the word for the admin. Undefined: nobody has signed in. */
  who?: string | undefined;
  formToken: string;
  /** Whether it follows what happens. */
  live?: boolean | undefined;
  /** What was done, or went wrong. */
  notice?: Notice | undefined;
}

export interface Notice {
  kind: 'done' | 'problem' | 'hint';
  text: string;
}

const NAVIGATION: Record<Area, [path: string, name: string][]> = {
  admin: [
    ['/admin', 'Users'],
    ['/admin/tenants', 'Tenants'],
    ['/admin/keys', 'Keys'],
    ['/admin/providers', 'Providers'],
    ['/admin/invoices', 'Invoices'],
    ['/admin/ledger', 'Ledger'],
    ['/admin/audit', 'Audit'],
  ],
  portal: [
    ['/portal', 'Overview'],
    ['/portal/usage', 'Usage'],
    ['/portal/users', 'Users'],
    ['/portal/invoices', 'Invoices'],
    ['/portal/keys', 'Keys'],
  ],
};

const NAMES: Record<Area, string> = { admin: 'OpenClaw rating', portal: 'Usage and billing' };

/** What is around every page. */
export const Layout: FC<PropsWithChildren<Frame>> = ({ children, ...frame }) => {
  const { area, current, live, notice, title, who } = frame;
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${title} · ${NAMES[area]}`}</title>
        <link rel="stylesheet" href={ASSETS.css} />
        <link rel="icon" href={ASSETS.icon} type="image/svg+xml" />
        {live && <script src={ASSETS.live} defer data-live={`/${area}/live`} />}
      </head>
      <body>
        <a class="skip" href="#main">
          Skip to content
        </a>
        <header class="top">
          <div class="wide">
            <p class="brand">
              <a href={`/${area}`}>{NAMES[area]}</a>
            </p>
            {who !== undefined && <SignedIn {...frame} who={who} />}
          </div>
          {who !== undefined && (
            <nav class="wide" aria-label="Pages">
              {NAVIGATION[area].map(([path, name]) => (
                <a href={path} {...(name === current && { 'aria-current': 'page' as const })}>
                  {name}
                </a>
              ))}
            </nav>
          )}
        </header>
        <main id="main" class="wide" tabindex={-1}>
          {notice && (
            <p class={`notice ${notice.kind}`} role={notice.kind === 'problem' ? 'alert' : 'status'}>
              {notice.text}
            </p>
          )}
          {children}
        </main>
        <footer class="wide">
          <p>All times are in UTC.{live && <LiveState />}</p>
        </footer>
      </body>
    </html>
  );
};

const SignedIn: FC<Frame & { who: string }> = ({ area, formToken, who }) => (
  <div class="who">
    <span>{who}</span>
    <PostForm action={`/${area}/sign-out`} token={formToken}>
      <button type="submit" class="quiet">
        Sign out
      </button>
    </PostForm>
  </div>
);

/** Without JavaScript it stays empty. */
const LiveState: FC = () => (
  <span
    id="live-state"
    role="status"
    data-on=" These numbers follow by themselves."
    data-off=" No connection: these numbers stand still."
  />
);
