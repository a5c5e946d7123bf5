import type { Invocation } from './args.ts'
import { Failure } from './failure.ts'
import type { Parts } from './parts.ts'
import { parsePath } from './paths.ts'
import { readGivenFile } from './private-file.ts'
import { settingOf } from './settings.ts'

/** Who logs in. */
export interface Identity {
  readonly roleId: string
  /** null: the role needs none. */
  readonly secretId: string | null
  /** The path that made it, where the secret_id is a wrapping token that holds the real one. */
  readonly wrappedBy: string | null
  /** The present name of the mount to log in at: before the login there is no token to ask for it with. */
  readonly mount: readonly string[]
}

const usualMount = 'auth/approle'

const inputBytesMax = 16_384

interface Source {
  readonly name: string
  readonly option: string
  /** `<variable>_FILE` names a file. */
  readonly variable: string
  readonly shown: 'shown' | 'hidden'
}

const roleIdSource: Source = { name: 'role_id', option: 'role-id-file', variable: 'LATCHKEY_ROLE_ID', shown: 'shown' }
const secretIdSource: Source = { name: 'secret_id', option: 'secret-id-file', variable: 'LATCHKEY_SECRET_ID', shown: 'hidden' }

function fileOf (invocation: Invocation, parts: Parts, { option, variable }: Source): string | null {
  return settingOf(invocation, parts, option, `${variable}_FILE`)
}

/** Whether the environment or options say who logs in. */
export function hasIdentity (invocation: Invocation, parts: Parts): boolean {
  return fileOf(invocation, parts, roleIdSource) !== null || (parts.env['LATCHKEY_ROLE_ID'] ?? '') !== ''
}

/**
 * Reads who logs in: from files, else from the environment, else from the person at the terminal.
 *
 * @throws Failure `usage` where nothing says who.
 */
export async function readIdentity (invocation: Invocation, parts: Parts): Promise<Identity> {
  if (fileOf(invocation, parts, roleIdSource) === '-' && fileOf(invocation, parts, secretIdSource) === '-') {
    throw new Failure('usage', 'standard input holds the role_id or the secret_id, and not both: give one by a file')
  }
  const mount = await readMount(invocation, parts)
  const roleId = await readRoleId(invocation, parts)
  if (roleId === null) {
    throw new Failure('usage', 'nothing says who logs in: set LATCHKEY_ROLE_ID_FILE and LATCHKEY_SECRET_ID_FILE, see latchkey login --help')
  }
  const secretId = await readOne(invocation, parts, secretIdSource)
  const wrappedBy = settingOf(invocation, parts, 'wrapped-by', 'LATCHKEY_WRAPPED_BY')
  if (secretId !== null) parts.screen.hide(secretId)
  if (wrappedBy !== null && secretId === null) throw new Failure('usage', 'there is no wrapped secret_id: set LATCHKEY_SECRET_ID_FILE')
  return { roleId, secretId, wrappedBy: wrappedBy === null ? null : parsePath(wrappedBy).join('/'), mount }
}

/** The role_id alone; null where nothing gives it. */
export function readRoleId (invocation: Invocation, parts: Parts): Promise<string | null> {
  return readOne(invocation, parts, roleIdSource)
}

async function readMount (invocation: Invocation, parts: Parts): Promise<string[]> {
  const file = parts.env['LATCHKEY_AUTH_MOUNT_FILE'] || null
  const named = settingOf(invocation, parts, 'auth-mount', 'LATCHKEY_AUTH_MOUNT') ??
    (file === null ? usualMount : (await readGivenFile(file, 'public')).trim())
  if (!named.startsWith('auth/')) throw new Failure('usage', 'the name of the mount to log in at begins with auth/')
  if (named !== usualMount) parts.screen.hide(named)
  return parsePath(named)
}

/** What somebody typed or piped, which is there once: a login that is done again needs it again. */
const heard = new WeakMap<object, Map<string, Promise<string | null>>>()

function hear<T extends object> (
  source: T, name: string, read: (source: T) => Promise<string | null>
): Promise<string | null> {
  const texts = heard.get(source) ?? new Map<string, Promise<string | null>>()
  heard.set(source, texts)
  const text = texts.get(name) ?? read(source)
  texts.set(name, text)
  return text
}

async function readOne (invocation: Invocation, parts: Parts, source: Source): Promise<string | null> {
  const { name, variable, shown } = source
  const file = fileOf(invocation, parts, source)
  const text = file === null
    ? (parts.env[variable] || null) ?? await hear(parts.ask, name, (ask) => ask(`${name}: `, shown))
    : file === '-' ? await hear(parts.readInput, name, (readInput) => readInput(inputBytesMax)) : await readGivenFile(file, shown === 'hidden' ? 'secret' : 'public')
  const value = text?.trim() ?? ''
  if (/[^\x21-\x7e]/.test(value)) throw new Failure('usage', `what is given as ${name} is none`)
  return value === '' ? null : value
}
