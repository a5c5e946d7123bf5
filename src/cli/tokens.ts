import path from 'node:path'
import type { Invocation } from './args.ts'
import { Failure } from './failure.ts'
import type { Parts } from './parts.ts'
import { findPrivateFile } from './private-file.ts'
import { familyOf, homeFolder, settingOf } from './settings.ts'

/** A token that somebody gave us. */
export interface GivenToken {
  readonly token: string
  /** The file that it is in; null: the environment. */
  readonly file: string | null
}

/** The file where the token is, or will be. */
export function tokenFileOf (invocation: Invocation, parts: Parts): string {
  return path.resolve(namedFile(invocation, parts) ?? path.join(homeFolder(parts), 'token'))
}

function namedFile (invocation: Invocation, parts: Parts): string | null {
  return settingOf(invocation, parts, 'token-file', 'LATCHKEY_TOKEN_FILE')
}

/** The token to use: of the named file, else of the environment, else of the file in the home. @throws Failure `usage` for a file that cannot be trusted. */
export async function findToken (invocation: Invocation, parts: Parts): Promise<GivenToken | null> {
  const given = parts.env[`${familyOf(invocation, parts)}_TOKEN`] || null
  if (namedFile(invocation, parts) === null && given !== null) return { token: checkToken(given, parts), file: null }
  const file = tokenFileOf(invocation, parts)
  const found = await findPrivateFile(file)
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
