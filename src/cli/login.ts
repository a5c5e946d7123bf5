import { rm } from 'node:fs/promises'
import { formatDurationShort } from '../core/duration.ts'
import type { Invocation } from './args.ts'
import { forgetCredentials } from './cache.ts'
import { hasStatus } from './failure.ts'
import { readIdentity } from './identity.ts'
import { keepToken } from './kept-token.ts'
import { withLock } from './lock.ts'
import type { Parts } from './parts.ts'
import { findPrivateFile } from './private-file.ts'
import { login, openBroker, revokeToken } from './session.ts'
import { readToken, tokenFileOf } from './tokens.ts'

/** `latchkey login`: puts a token into its file, or prints it. */
export async function runLogin (invocation: Invocation, parts: Parts): Promise<void> {
  const { client } = await openBroker(invocation, parts)
  const identity = await readIdentity(invocation, parts)
  const logIn = () => login(identity, parts, client)
  if (invocation.has('print')) {
    const { token } = await logIn()
    await parts.screen.out(`${token}\n`).catch(async (error: unknown) => {
      await revokeToken(client, token)
      throw error
    })
    return
  }
  const file = tokenFileOf(invocation, parts)
  await withLock(file, parts, async () => {
    const present = await findPrivateFile(file)
    if (present !== null && present.writtenAtMs > parts.startedAtMs && present.writtenAtMs <= parts.now()) {
      parts.screen.say(`another process logged in at this moment; its token is in ${file}`)
      return
    }
    const made = await keepToken(file, logIn, (token) => revokeToken(client, token))
    const policies = made.policies.join(', ')
    parts.screen.say(`logged in for ${formatDurationShort(made.ttlSeconds)} with the policies ${policies}; the token is in ${file}`)
  })
}

/** `latchkey logout`: ends the token and what was made with it, then removes its file. */
export async function runLogout (invocation: Invocation, parts: Parts): Promise<void> {
  const { client } = await openBroker(invocation, parts)
  const { token, file } = await readToken(invocation, parts)
  await revokeToken(client, token).catch((error: unknown) => {
    if (!hasStatus(error, 403)) throw error
    parts.screen.say('the token had ended already')
  })
  await forgetCredentials(invocation, parts)
  if (file === null) return
  await withLock(file, parts, async () => {
    if ((await findPrivateFile(file))?.text.trim() === token) await rm(file)
  })
}
