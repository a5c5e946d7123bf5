import type { Invocation } from './args.ts'
import type { Client } from './client.ts'
import { hasStatus } from './failure.ts'
import { hasIdentity, readIdentity } from './identity.ts'
import { withLock } from './lock.ts'
import type { Parts } from './parts.ts'
import { draftPrivateFile } from './private-file.ts'
import { login, revokeToken, type LoggedIn } from './session.ts'
import { findToken, readToken, tokenFileOf } from './tokens.ts'

/** Logs in and keeps the token. The file is begun before the login: a token that has no place is never made, or is ended. */
export async function keepToken (
  file: string, logIn: () => Promise<LoggedIn>, revoke: (token: string) => Promise<void>
): Promise<LoggedIn> {
  const draft = await draftPrivateFile(file)
  let made: LoggedIn
  try {
    made = await logIn()
  } catch (error) {
    await draft.discard()
    throw error
  }
  try {
    await draft.commit(made.token)
  } catch (error) {
    await revoke(made.token)
    throw error
  }
  return made
}

/**
 * Runs work with the token to use. Where there is none, or that of the file has ended, and something says
 * who logs in, that is done first and kept, by one of all processes that need it. Nobody is asked at a terminal.
 */
export async function withToken<T> (
  invocation: Invocation, parts: Parts, client: Client, use: (token: string) => Promise<T>
): Promise<T> {
  const found = await findToken(invocation, parts)
  const mayLogIn = hasIdentity(invocation, parts)
  if (found === null && !mayLogIn) return use((await readToken(invocation, parts)).token)
  const token = found?.token ?? await replaceToken(invocation, parts, client, null)
  try {
    return await use(token)
  } catch (error) {
    const isReplaceable = mayLogIn && typeof found?.file === 'string'
    if (!isReplaceable || !hasStatus(error, 403) || await isAlive(client, token)) throw error
    return use(await replaceToken(invocation, parts, client, token))
  }
}

/** The token of the file where it is another one than `former`; else one of a new login. */
async function replaceToken (
  invocation: Invocation, parts: Parts, client: Client, former: string | null
): Promise<string> {
  const file = tokenFileOf(invocation, parts)
  return withLock(file, parts, async () => {
    const present = (await findToken(invocation, parts))?.token ?? null
    if (present !== null && present !== former) return present
    const identity = await readIdentity(invocation, { ...parts, ask: async () => null })
    const { token } = await keepToken(file, () => login(identity, parts, client), (made) => revokeToken(client, made))
    return token
  })
}

/** Whether a token may still ask. */
export async function isAlive (client: Client, token: string): Promise<boolean> {
  try {
    await client.ask({ method: 'GET', what: 'auth/token/lookup-self', path: ['auth', 'token', 'lookup-self'], token, repeat: 'safe' })
    return true
  } catch (error) {
    if (hasStatus(error, 403)) return false
    throw error
  }
}
