import type { Invocation } from './args.ts'
import type { Client } from './client.ts'
import { hasIdentity, readIdentity } from './identity.ts'
import { isAlive } from './kept-token.ts'
import type { Parts } from './parts.ts'
import { login, revokeToken } from './session.ts'
import { findToken, readToken } from './tokens.ts'

/** The token of a command that lives for a while. */
export interface OwnToken {
  token (): string
  /** Whether it was made here, and so is ended here. */
  readonly isOurs: boolean
  /** Ends it with all that was made with it. */
  end (signal?: AbortSignal): Promise<void>
}

/** The token that was given; where there is none that lives, one of a login that is kept nowhere. */
export async function openOwnToken (invocation: Invocation, parts: Parts, client: Client): Promise<OwnToken> {
  const given = await findToken(invocation, parts)
  const mayLogIn = hasIdentity(invocation, parts)
  if (given !== null && (!mayLogIn || await isAlive(client, given.token))) {
    return { token: () => given.token, isOurs: false, end: async () => {} }
  }
  if (!mayLogIn) await readToken(invocation, parts)
  const { token } = await login(await readIdentity(invocation, parts), parts, client)
  return { token: () => token, isOurs: true, end: (signal) => revokeToken(client, token, signal) }
}
