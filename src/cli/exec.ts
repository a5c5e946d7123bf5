import { isJsonObject } from '../core/json.ts'
import type { Invocation } from './args.ts'
import { credentialVariables, readRegion, regionVariables } from './aws.ts'
import { childEnvironment, runChild, takeSignals } from './child.ts'
import { fetchCredentials, readWanted, revokeLease } from './credentials.ts'
import { checkVariables, variablesOf, type Variables } from './environment.ts'
import { Failure } from './failure.ts'
import { openOwnToken } from './own-token.ts'
import type { Parts } from './parts.ts'
import { parsePath } from './paths.ts'
import { secretOf } from './present.ts'
import { openBroker, type Broker } from './session.ts'
import { sayWrongClock } from './skew.ts'

/** How long the end may take: the command has ended, and somebody waits for its exit code. */
const endMs = 10_000

/** `latchkey exec`: a command with credentials, which end with it. */
export async function runExec (invocation: Invocation, parts: Parts): Promise<number> {
  const role = invocation.text('role')
  const secrets = invocation.list('secret')
  if (role === null && secrets.length === 0) throw new Failure('usage', 'exec gives nothing to the command: name a --role or a --secret')
  const wanted = role === null ? null : readWanted(invocation, role)
  const region = readRegion(invocation)
  const signals = takeSignals(parts.screen, (code) => process.exit(code))
  try {
    const broker = await openBroker(invocation, parts)
    const own = await openOwnToken(invocation, parts, broker.client)
    const leases: string[] = []
    try {
      const given = await readSecrets(broker, own.token(), secrets)
      const variables = [...checkVariables(given, invocation.list('allow-name')), ...regionVariables(region)]
      if (wanted !== null && !signals.stopped.aborted) {
        const credentials = await fetchCredentials(broker, own.token(), wanted, parts)
        leases.push(credentials.leaseId)
        variables.push(...credentialVariables(credentials))
      }
      sayWrongClock(broker.client, parts.screen)
      if (signals.stopped.aborted) return Number(signals.stopped.reason)
      checkVariables(variables, variables.map(([name]) => name))
      const env = childEnvironment(parts.env, variables, wanted !== null)
      return await runChild(invocation.child, env, signals, parts.screen)
    } finally {
      await finish(parts, (signal) => own.isOurs ? own.end(signal) : endLeases(broker, own.token(), leases, signal))
    }
  } finally {
    signals.close()
  }
}

/** The fields of secrets, as `read` shows them. */
async function readSecrets ({ client, names }: Broker, token: string, paths: readonly string[]): Promise<Variables> {
  const variables: (readonly [string, string])[] = []
  for (const text of paths) {
    const path = parsePath(text)
    const { body } = await names.below(path, token, (present) =>
      client.ask({ method: 'GET', what: path.join('/'), path: present, token, repeat: 'unsent' }))
    const data = body?.['data']
    if (!isJsonObject(data)) throw new Failure('failed', `${path.join('/')}: the answer holds no secret`)
    variables.push(...variablesOf(secretOf(data)))
  }
  return variables
}

async function endLeases (
  broker: Broker, token: string, leases: readonly string[], signal: AbortSignal
): Promise<void> {
  for (const lease of leases) await revokeLease(broker, token, lease, signal)
}

/** What cannot be ended ends by itself; the command's exit code is what counts. */
async function finish ({ screen }: Parts, end: (signal: AbortSignal) => Promise<void>): Promise<void> {
  try {
    await end(AbortSignal.timeout(endMs))
  } catch {
    screen.say('what was fetched could not be ended: it ends at its own time')
  }
}
