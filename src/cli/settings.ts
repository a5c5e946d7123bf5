import { homedir } from 'node:os'
import path from 'node:path'
import type { Invocation } from './args.ts'
import { Failure } from './failure.ts'
import type { Parts } from './parts.ts'
import { readGivenFile } from './private-file.ts'

/** Every variable that the command line reads, for the help and for the broker, which lets them be. */
export const variables: Readonly<Record<string, string>> = {
  LATCHKEY_ADDR: 'where the broker is: http://127.0.0.1:8200 unless set',
  LATCHKEY_CA_FILE: 'the authorities whose certificates are trusted, PEM; else those that Node trusts',
  LATCHKEY_CLIENT_CERT_FILE: 'the certificate to show to the broker, PEM',
  LATCHKEY_CLIENT_KEY_FILE: 'its key, PEM',
  LATCHKEY_TOKEN_FILE: 'the file of the token; unless set ~/.latchkey/token-<host>-<port>, one for each broker',
  LATCHKEY_TOKEN: 'the token itself, where no file is named',
  LATCHKEY_ROLE_ID_FILE: 'a file with the role_id to log in with; - is standard input',
  LATCHKEY_ROLE_ID: 'the role_id itself',
  LATCHKEY_SECRET_ID_FILE: 'a file with the secret_id; - is standard input',
  LATCHKEY_SECRET_ID: 'the secret_id itself',
  LATCHKEY_WRAPPED_BY: 'the path that made it, where the secret_id is wrapped: auth/approle/role/ci/secret-id',
  LATCHKEY_AUTH_MOUNT: 'the present name of the mount to log in at: auth/approle unless set',
  LATCHKEY_AUTH_MOUNT_FILE: 'a file with that name, read at each login'
}

/** Where the broker is. */
export interface Origin {
  readonly isTls: boolean
  readonly host: string
  readonly port: number
  /** `https://latchkey.example:8200`. */
  readonly text: string
}

/** How to talk to the broker. */
export interface Connection {
  readonly origin: Origin
  readonly ca: string | null
  readonly clientCert: { readonly cert: string, readonly key: string } | null
}

/** Names that other command lines of this API use; of a set all are taken or none, so that no token goes to another's address. */
const families = ['BAO', 'VAULT'] as const

/** The set whose address is used: ours, or one of the others where ours names none. */
export function familyOf (invocation: Invocation, { env }: Parts): 'LATCHKEY' | (typeof families)[number] {
  if (invocation.has('address') || isSet(env, 'LATCHKEY_ADDR')) return 'LATCHKEY'
  return families.find((family) => isSet(env, `${family}_ADDR`)) ?? 'LATCHKEY'
}

function isSet (env: Parts['env'], name: string): boolean {
  return (env[name] ?? '') !== ''
}

/** An option, or the variable that stands for it; null: neither. */
export function settingOf (invocation: Invocation, { env }: Parts, option: string, variable: string): string | null {
  return invocation.text(option) ?? (env[variable] || null)
}

/** @throws Failure `usage` for an address or a file that cannot be used. */
export async function readConnection (invocation: Invocation, parts: Parts): Promise<Connection> {
  const { env } = parts
  const family = familyOf(invocation, parts)
  const origin = readOrigin(invocation, parts)
  const ca = settingOf(invocation, parts, 'ca-file', family === 'LATCHKEY' ? 'LATCHKEY_CA_FILE' : `${family}_CACERT`)
  const cert = env['LATCHKEY_CLIENT_CERT_FILE'] || null
  const key = env['LATCHKEY_CLIENT_KEY_FILE'] || null
  if ((cert === null) !== (key === null)) {
    throw new Failure('usage', 'LATCHKEY_CLIENT_CERT_FILE and LATCHKEY_CLIENT_KEY_FILE are set together or not at all')
  }
  return {
    origin,
    ca: ca === null ? null : await readGivenFile(ca, 'public', authoritiesBytesMax),
    clientCert: cert === null || key === null
      ? null
      : { cert: await readGivenFile(cert, 'public'), key: await readGivenFile(key, 'secret') }
  }
}

/** Where the broker is. @throws Failure `usage` */
export function readOrigin (invocation: Invocation, parts: Parts): Origin {
  const address = invocation.text('address') ?? (parts.env[`${familyOf(invocation, parts)}_ADDR`] || 'http://127.0.0.1:8200')
  return parseOrigin(address, invocation.has('insecure-http'))
}

/** A system's whole bundle has some hundred KiB. */
const authoritiesBytesMax = 4 * 1024 * 1024

const loopback = /^(?:127\.\d+\.\d+\.\d+|::1|localhost)$/

/**
 * Reads an address: scheme, host and port, and nothing else.
 *
 * @throws Failure `usage`, also for http beyond this machine without `mayBeInClear` (SEC-335).
 */
export function parseOrigin (text: string, mayBeInClear: boolean): Origin {
  const url = URL.canParse(text) ? new URL(text) : null
  const isTls = url?.protocol === 'https:'
  if (url === null || (!isTls && url.protocol !== 'http:') || url.href !== `${url.origin}/`) {
    throw new Failure('usage', 'the broker\'s address is no address: https://host:port is expected, without a path')
  }
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (!isTls && !mayBeInClear && !loopback.test(host)) {
    throw new Failure('usage', `${url.origin} would get secrets in clear: use https, or say --insecure-http`)
  }
  return { isTls, host, port: Number(url.port) || (isTls ? 443 : 80), text: url.origin }
}

/** Our folder in the person's home; null where there is no home, as for a user that the system does not know. */
export function findHomeFolder ({ env }: Parts): string | null {
  const home = env['HOME'] || findHome()
  return home !== null && path.isAbsolute(home) ? path.join(home, '.latchkey') : null
}

function findHome (): string | null {
  try {
    return homedir()
  } catch {
    return null
  }
}
