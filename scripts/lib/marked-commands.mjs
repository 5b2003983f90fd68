/**
 * @typedef {object} MarkedCommand
 * @property {number} line of the fence, counted from 1
 * @property {string} text what a reader would type
 * @property {number} exit the exit code that must come; not looked at in the background
 * @property {number} timeout seconds
 * @property {string} [expect] what it must print
 * @property {boolean} background it goes on while the file's next commands run, as soon as it has printed `expect`
 */

const MARKER = /^<!--\s*ci:(.*?)-->\s*$/;
const ATTRIBUTE = /\s*(?:(\w+)=(?:"([^"]*)"|(\S+))|(\w+))/y;
const DEFAULT_TIMEOUT_S = 60;

/**
 * The commands of a Markdown file that are marked to be tried: a `sh` block right after a line like
 * `<!-- ci: run timeout=120 exit=1 expect="some text" -->`, or `<!-- ci: run background expect="http://" -->`.
 * @param {string} markdown
 * @param {string} file its name, for messages
 * @returns {MarkedCommand[]}
 * @throws {Error} with file and line, for a marker that is wrong or has no block
 */
export function markedCommands(markdown, file) {
  const lines = markdown.split('\n');
  const found = [];
  for (const [index, line] of lines.entries()) {
    const marker = MARKER.exec(line);
    if (!marker) continue;
    const fence = index + 1;
    const end = lines.indexOf('```', fence);
    if (lines[fence] !== '```sh' || end < 0)
      throw new Error(`${file}:${fence}: a marker without a block of sh after it`);
    const text = lines.slice(fence + 1, end).join('\n');
    found.push({ line: fence + 1, text, ...settings(marker[1] ?? '', `${file}:${fence}`) });
  }
  return found;
}

/**
 * @param {string} text
 * @param {string} where
 */
function settings(text, where) {
  /** @type {Omit<MarkedCommand, 'line' | 'text'>} */
  const result = { exit: 0, timeout: DEFAULT_TIMEOUT_S, background: false };
  const [[verb] = [], ...rest] = attributes(text.trim(), where);
  if (verb !== 'run') throw new Error(`${where}: "ci: ${text.trim()}" does not begin with "run"`);
  for (const [name, value] of rest) {
    if (name === 'background' && value === '') result.background = true;
    else if (name === 'expect' && value) result.expect = value;
    else if ((name === 'exit' || name === 'timeout') && /^\d+$/.test(value)) result[name] = Number(value);
    else
      throw new Error(`${where}: "${name}=${value}" is none of background, expect="text", exit=CODE, timeout=SECONDS`);
  }
  if (result.background && !result.expect) throw new Error(`${where}: "background" needs an expect="text" to wait for`);
  return result;
}

/**
 * @param {string} text
 * @param {string} where
 * @returns {[string, string][]}
 */
function attributes(text, where) {
  /** @type {[string, string][]} */
  const found = [];
  ATTRIBUTE.lastIndex = 0;
  for (let end = 0; end < text.length; end = ATTRIBUTE.lastIndex) {
    const match = ATTRIBUTE.exec(text);
    if (!match) throw new Error(`${where}: cannot read "${text.slice(end)}"`);
    const [, name, quoted, plain, flag] = match;
    found.push([flag ?? name ?? '', quoted ?? plain ?? '']);
  }
  return found;
}
