/** The configuration is wrong, and the process must not start. Each problem is a line for a person: where, what, what would be right. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: string[];

  constructor(problems: string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}
