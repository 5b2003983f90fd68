import type { Child, FC, PropsWithChildren } from 'hono/jsx';
import { FORM_FIELD } from '../session/guard.ts';

/** A form that changes something, with the token that says it is ours. */
export const PostForm: FC<PropsWithChildren<{ action: string; token: string; hidden?: Record<string, string> }>> = ({
  action,
  children,
  hidden = {},
  token,
}) => (
  <form method="post" action={action}>
    <input type="hidden" name={FORM_FIELD} value={token} />
    {Object.entries(hidden).map(([name, value]) => (
      <input type="hidden" name={name} value={value} />
    ))}
    {children}
  </form>
);

interface FieldProps {
  name: string;
  label: string;
  hint?: string;
  type?: string;
  value?: string | undefined;
  required?: boolean;
  min?: string;
  max?: string;
  step?: string;
  maxlength?: number;
  autocomplete?: string;
}

export const Field: FC<FieldProps> = ({ hint, label, name, type = 'text', ...rest }) => (
  <p class="field">
    <label for={`field-${name}`}>{label}</label>
    <input
      id={`field-${name}`}
      name={name}
      type={type}
      {...rest}
      {...(hint && { 'aria-describedby': `hint-${name}` })}
    />
    {hint && (
      <span class="hint" id={`hint-${name}`}>
        {hint}
      </span>
    )}
  </p>
);

export const Select: FC<{
  name: string;
  label: string;
  value: string;
  options: readonly (readonly [value: string, text: string])[];
}> = ({ label, name, options, value }) => (
  <p class="field">
    <label for={`field-${name}`}>{label}</label>
    <select id={`field-${name}`} name={name}>
      {options.map(([each, text]) => (
        <option value={each} selected={each === value}>
          {text}
        </option>
      ))}
    </select>
  </p>
);

interface ConfirmProps {
  question: string;
  /** What will happen, in words. */
  explanation: Child;
  facts: readonly (readonly [name: string, value: Child])[];
  action: string;
  hidden?: Record<string, string>;
  token: string;
  /** What the button does. */
  verb: string;
  danger?: boolean;
  back: string;
}

/** Asks before it acts, without a script. */
export const Confirm: FC<ConfirmProps> = ({
  action,
  back,
  danger,
  explanation,
  facts,
  hidden = {},
  question,
  token,
  verb,
}) => (
  <section class="card confirm" aria-labelledby="question">
    <h1 id="question">{question}</h1>
    <p>{explanation}</p>
    <Facts facts={facts} />
    <PostForm action={action} token={token} hidden={hidden}>
      <div class="actions">
        <button type="submit" class={danger ? 'danger' : ''}>
          {verb}
        </button>
        <a class="button quiet" href={back}>
          Cancel
        </a>
      </div>
    </PostForm>
  </section>
);

export const Facts: FC<{ facts: readonly (readonly [name: string, value: Child])[] }> = ({ facts }) => (
  <dl class="facts">
    {facts.map(([name, value]) => (
      <div>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </div>
    ))}
  </dl>
);
