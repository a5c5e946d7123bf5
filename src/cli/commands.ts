import type { Invocation, Option, Usage } from './args.ts'
import type { Parts } from './parts.ts'
import { connectionOptions, identityOptions, pathOptions, tokenOptions } from './settings.ts'

/** A command: how it is called, what it does. */
export interface Command extends Usage {
  readonly summary: string
  /** More for its own help, a paragraph each. */
  readonly notes: readonly string[]
  /** Answers an exit code where that is not simply 0. */
  readonly run: (invocation: Invocation, parts: Parts) => Promise<number | void>
}

const help: Option = { meaning: 'show this' }
const format = (...words: string[]): Option => ({ value: 'form', oneOf: words, meaning: `${words.join(', ')}; ${words[0]} unless given` })
const none = { operands: '', operandsMin: 0, operandsMax: 0, child: 'none' } as const
const path = { operands: '<path>', operandsMin: 1, operandsMax: 1, child: 'none' } as const
const wrap: Option = { value: 'ttl', meaning: 'have the answer wrapped for so long: 120s' }
const field: Option = { value: 'name', meaning: 'only this field of the answer, as it is' }

/** Every command, in the order of the help. A command is loaded when it is called. */
export const commands: readonly Command[] = [
  {
    name: 'login',
    ...none,
    options: { ...tokenOptions, ...identityOptions, print: { meaning: 'print the token, and write no file' }, help },
    summary: 'log in with role_id and secret_id, and keep the token in a file',
    notes: [
      'What no file and no variable gives is asked for at the terminal, the secret_id without echo.',
      'With --wrapped-by the secret_id is a wrapping token. It is opened only if it was made at that path; if somebody opened it before, the login is refused and says so.',
      'The mount to log in at is named by its present name, since only a token may ask for names: put it into LATCHKEY_AUTH_MOUNT_FILE where it rotates.'
    ],
    run: async (invocation, parts) => (await import('./login.ts')).runLogin(invocation, parts)
  },
  {
    name: 'logout',
    ...none,
    options: { ...tokenOptions, help },
    summary: 'end the token with all that was made with it, and remove its file',
    notes: ['AWS sessions cannot be taken back: they end at their own time.'],
    run: async (invocation, parts) => (await import('./login.ts')).runLogout(invocation, parts)
  },
  {
    name: 'whoami',
    ...none,
    options: { ...tokenOptions, format: format('text', 'json'), help },
    summary: 'show what the token is and how long it lives',
    notes: [],
    run: async (invocation, parts) => (await import('./inquiries.ts')).runWhoami(invocation, parts)
  },
  {
    name: 'status',
    ...none,
    options: { ...connectionOptions, format: format('text', 'json'), help },
    summary: 'show whether the broker answers, and how far its clock is ahead',
    notes: [],
    run: async (invocation, parts) => (await import('./inquiries.ts')).runStatus(invocation, parts)
  },
  {
    name: 'resolve',
    ...path,
    operands: '<mount>',
    options: { ...tokenOptions, watch: { meaning: 'print each new name as it comes, until stopped' }, help },
    summary: 'print the present name of a mount whose names rotate',
    notes: ['The mount is named by its own path: aws, auth/approle. All other commands take own paths too and ask by themselves.'],
    run: async (invocation, parts) => (await import('./inquiries.ts')).runResolve(invocation, parts)
  },
  {
    name: 'read',
    ...path,
    options: { ...pathOptions, parameter: { value: 'name=value', isList: true, meaning: 'a parameter of the request, such as version=2' }, field, wrap, format: format('text', 'json'), help },
    summary: 'read a secret, or whatever answers to a read',
    notes: ['Paths are those of the API: secret/data/app in a versioned mount. Of a versioned secret its own fields are shown.'],
    run: async (invocation, parts) => (await import('./values.ts')).runRead(invocation, parts)
  },
  {
    name: 'list',
    ...path,
    options: { ...pathOptions, format: format('text', 'json'), help },
    summary: 'list the names below a path',
    notes: ['In a versioned mount: secret/metadata/app.'],
    run: async (invocation, parts) => (await import('./values.ts')).runList(invocation, parts)
  },
  {
    name: 'write',
    ...path,
    operands: '<path> [@file]',
    operandsMax: 2,
    options: { ...pathOptions, field, wrap, format: format('text', 'json'), help },
    summary: 'write data, a JSON object from standard input or a file',
    notes: ['In a versioned mount: secret/data/app with {"data":{…}}. Nothing on standard input is an empty object.'],
    run: async (invocation, parts) => (await import('./values.ts')).runWrite(invocation, parts)
  },
  {
    name: 'delete',
    ...path,
    options: { ...pathOptions, format: format('text', 'json'), help },
    summary: 'delete what is at a path',
    notes: [],
    run: async (invocation, parts) => (await import('./values.ts')).runDelete(invocation, parts)
  }
]
