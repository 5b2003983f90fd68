// Lets the page follow what happens. Bars of users move with each event; whatever else is marked `data-fresh` is taken from the
// page anew, at most every few seconds. Without this script the page stands still, and all else works.
(() => {
  const REFRESH_MS = 3_000;
  const SLOW_REFRESH_MS = 30_000;
  const address = document.currentScript.dataset.live;
  const state = document.getElementById('live-state');
  const numbers = new Intl.NumberFormat('en-US');
  let timer;
  let isReading = false;

  function move({ limit, tenant_id: tenant, used }) {
    for (const bar of document.querySelectorAll(`.bar[data-limit="${CSS.escape(limit)}"]`)) {
      if (bar.dataset.tenant === tenant) show(bar, used);
    }
  }

  function show(bar, used) {
    const capacity = Number(bar.dataset.capacity);
    const share = capacity > 0 ? Math.floor((used / capacity) * 100) : 100;
    bar.querySelector('.fill').setAttribute('width', String(Math.max(0, Math.min(100, share))));
    bar.querySelector('.used').textContent = numbers.format(used);
    bar.querySelector('.share').textContent = `(${share}%)`;
    bar.className = `bar ${share >= 100 ? 'over' : share >= 75 ? 'warn' : 'ok'}`;
  }

  async function refresh() {
    timer = undefined;
    if (isReading || document.hidden) return later(REFRESH_MS);
    isReading = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: 'text/html' }, redirect: 'error' });
      if (answer.ok) replace(new DOMParser().parseFromString(await answer.text(), 'text/html'));
    } catch {
      // The next one may work.
    } finally {
      isReading = false;
    }
    later(SLOW_REFRESH_MS);
  }

  function replace(fresh) {
    for (const element of document.querySelectorAll('[data-fresh]')) {
      const next = fresh.getElementById(element.id);
      const isInUse = element.contains(document.activeElement) && element !== document.activeElement;
      if (next && !isInUse && next.innerHTML !== element.innerHTML) element.replaceChildren(...next.childNodes);
    }
  }

  function later(milliseconds) {
    if (timer?.at <= performance.now() + milliseconds) return;
    clearTimeout(timer?.id);
    timer = { id: setTimeout(refresh, milliseconds), at: performance.now() + milliseconds };
  }

  const events = new EventSource(address);
  events.addEventListener('open', () => {
    state.textContent = state.dataset.on;
    document.documentElement.dataset.follows = 'yes';
    later(SLOW_REFRESH_MS);
  });
  events.addEventListener('error', () => {
    state.textContent = state.dataset.off;
    delete document.documentElement.dataset.follows;
  });
  events.addEventListener('budget', ({ data }) => {
    move(JSON.parse(data));
    later(REFRESH_MS);
  });
  events.addEventListener('missed', () => later(0));
  // A connection is one of the few that a browser has for a server: a page that is left must not keep its own.
  addEventListener('pagehide', () => events.close());
  addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
})();
