import type { Invocation, Option, Usage } from './args.ts'
import {
  connectionOptions, identityOptions, pathOptions, sidecarOptions, tokenOptions, wantedOptions
} from './options.ts'
import type { Parts } from './parts.ts'

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
const region: Option = { value: 'region', meaning: 'also set AWS_REGION and AWS_DEFAULT_REGION' }
const allowName: Option = { value: 'NAME', isList: true, meaning: 'let a secret set this variable, though it changes how programs work' }
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
    options: { ...pathOptions, parameter: { value: 'name=value', isList: true, meaning: 'a parameter of the request, such as version=2' }, field, wrap, format: format('text', 'json', 'env', 'github'), 'allow-name': allowName, help },
    summary: 'read a secret, or whatever answers to a read',
    notes: [
      'Paths are those of the API: secret/data/app in a versioned mount. Of a versioned secret its own fields are shown.',
      'env: lines for a shell, a variable for each field. github: each field is masked and given to the later steps of a job of GitHub Actions.'
    ],
    run: async (invocation, parts) => (await import('./values.ts')).runRead(invocation, parts)
  },
  {
    name: 'aws',
    ...path,
    operands: '<role>',
    options: { ...pathOptions, ...identityOptions, ...wantedOptions, region, format: format('json', 'env', 'github', 'terragrunt', 'atlantis'), help },
    summary: 'fetch AWS credentials of a role',
    notes: [
      'env: lines for a shell. github: masked, and given to the later steps of a job of GitHub Actions. terragrunt: for --auth-provider-cmd. atlantis: for a multienv step. The last two are called again and again, so what was fetched is kept as by credential-process.'
    ],
    run: async (invocation, parts) => (await import('./aws.ts')).runAws(invocation, parts)
  },
  {
    name: 'credential-process',
    ...path,
    operands: '<role>',
    options: { ...pathOptions, ...identityOptions, ...wantedOptions, help },
    summary: 'answer AWS\'s clients, for credential_process in ~/.aws/config',
    notes: [
      'Credentials are kept in a folder beside the token, mode 0600, and given again while more than 15 minutes or a third of their life remain. One process at a time fetches new ones. logout forgets them.'
    ],
    run: async (invocation, parts) => (await import('./aws.ts')).runCredentialProcess(invocation, parts)
  },
  {
    name: 'exec',
    ...none,
    child: 'required',
    options: {
      ...pathOptions,
      ...identityOptions,
      role: { value: 'role', meaning: 'AWS credentials of this role' },
      ...wantedOptions,
      region,
      secret: { value: 'path', isList: true, meaning: 'the fields of this secret, a variable each' },
      'allow-name': allowName,
      help
    },
    summary: 'run a command that has credentials in its environment, and end them with it',
    notes: [
      'Without a token it logs in for itself, and logs out at the end. Signals are passed on, and its exit code is that of the command: 126 and 127 where that cannot be run, 128 and the number of the signal that ended it.',
      'Credentials are not renewed: for commands that take longer than they live there is latchkey sidecar -- command.'
    ],
    run: async (invocation, parts) => (await import('./exec.ts')).runExec(invocation, parts)
  },
  {
    name: 'sidecar',
    ...none,
    child: 'optional',
    options: {
      ...pathOptions,
      ...identityOptions,
      role: { value: 'role', meaning: 'AWS credentials of this role' },
      ...wantedOptions,
      region,
      ...sidecarOptions,
      help
    },
    summary: 'serve AWS credentials on this machine, always fresh',
    notes: [
      'AWS\'s clients fetch them as container credentials. With a command it runs that, sets AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE for it, and ends with it; without, it prints what to export, and serves until SIGTERM.',
      'What callers have to show is new at each start and in a file of mode 0600. Whoever can read that file and reach the port gets the credentials: in a network that containers share the file is the boundary, not the port.',
      'Without a token it logs in for itself, logs in again when the token cannot be renewed any more, and logs out at the end. While the broker is away it gives what still lives. When the token is revoked it forgets everything and gives nothing, until it is started again.',
      'AWS\'s clients look into the default profile of ~/.aws before they ask a sidecar; where that has credentials, this is said at the start.'
    ],
    run: async (invocation, parts) => (await import('./sidecar.ts')).runSidecar(invocation, parts)
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
