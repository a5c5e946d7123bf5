import path from 'node:path'
import type { Invocation } from './args.ts'
import { Failure } from './failure.ts'
import type { Parts } from './parts.ts'
import { findPrivateFile } from './private-file.ts'
import { familyOf, findHomeFolder, readOrigin, settingOf } from './settings.ts'

/** A token that somebody gave us. */
export interface GivenToken {
  readonly token: string
  /** The file that it is in; null: the environment. */
  readonly file: string | null
}

/** The file where the token is, or will be. @throws Failure `usage` where none is named and there is no home. */
export function tokenFileOf (invocation: Invocation, parts: Parts): string {
  const file = findTokenFile(invocation, parts)
  if (file === null) throw new Failure('usage', 'there is no home folder for the token: name its file by LATCHKEY_TOKEN_FILE')
  return file
}

/** In the home each broker has a file of its own: another address gets no token that it did not give (SEC-334). */
function findTokenFile (invocation: Invocation, parts: Parts): string | null {
  const named = namedFile(invocation, parts)
  if (named !== null) return path.resolve(named)
  const home = findHomeFolder(parts)
  if (home === null) return null
  const { host, port } = readOrigin(invocation, parts)
  return path.join(home, `token-${host.replaceAll(':', '_')}-${port}`)
}

function namedFile (invocation: Invocation, parts: Parts): string | null {
  return settingOf(invocation, parts, 'token-file', 'LATCHKEY_TOKEN_FILE')
}

/** The token to use: of the named file, else of the environment, else of the file in the home. @throws Failure `usage` for a file that cannot be trusted. */
export async function findToken (invocation: Invocation, parts: Parts): Promise<GivenToken | null> {
  const given = parts.env[`${familyOf(invocation, parts)}_TOKEN`] || null
  if (namedFile(invocation, parts) === null && given !== null) return { token: checkToken(given, parts), file: null }
  const file = findTokenFile(invocation, parts)
  const found = file === null ? null : await findPrivateFile(file)
  return found === null ? null : { token: checkToken(found.text.trim(), parts), file }
}

/** @throws Failure `usage` where there is none. */
export async function readToken (invocation: Invocation, parts: Parts): Promise<GivenToken> {
  const found = await findToken(invocation, parts)
  if (found === null) throw new Failure('usage', `there is no token in ${tokenFileOf(invocation, parts)}: run latchkey login`)
  return found
}

/** Holds a text to what may be a token, and keeps it out of all messages. */
export function checkToken (text: string, { screen }: Pick<Parts, 'screen'>): string {
  if (!/^[\x21-\x7e]{1,8192}$/.test(text)) throw new Failure('usage', 'what is given as a token is none')
  screen.hide(text)
  return text
}
