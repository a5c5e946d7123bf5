import { readFileSync } from 'node:fs'
import path from 'node:path'
import { startRedis, type Teardown } from '../helpers/redis.ts'
import { makeFolder } from './broker.ts'
import { projectFolder, startProgram, waitFor, type Running } from './processes.ts'

/** What stands around the brokers that are measured: a Redis, the emulator, and the ceilings, each a process of its own. */
export interface Setting {
  /** A Redis database that holds nothing yet; there are 15. */
  readonly emptyRedis: () => string
  readonly emulatorUrl: string
  readonly ceilings: { readonly running: Running, readonly url: string, readonly token: string }
}

/** How Redis keeps its file here: as the broker asks for in production. */
export const redisSync = 'always'

/** Starts them; they end with the bench. */
export async function openSetting (t: Teardown): Promise<Setting> {
  const redis = await startRedis(t, { appendfsync: redisSync })
  process.on('exit', () => redis.process.kill('SIGKILL'))
  let databases = 0
  const emulator = startProgram(['src/emulator/main.ts', '--port', '0', '--json'])
  t.teardown(() => emulator.end())
  const [line] = await waitFor(emulator, /^\{.*\}$/m)
  const identities = JSON.parse(line) as Identities
  const key = identities.accounts.flatMap(({ users }) => users).find(({ name }) => name === 'latchkey')?.accessKeys[0]
  if (key === undefined) throw new Error('the example seed has no user latchkey')
  const running = startProgram(['test/bench/ceilings.ts', JSON.stringify({
    redis: redis.url, folder: makeFolder(), role: exampleRole(), sts: { endpoint: identities.endpoint, ...key }
  })])
  t.teardown(() => running.end())
  const [ready] = await waitFor(running, /^\{.*\}$/m)
  const { url, token } = JSON.parse(ready) as { url: string, token: string }
  return { emptyRedis: () => `${redis.url}/${++databases}`, emulatorUrl: identities.endpoint, ceilings: { running, url, token } }
}

interface Identities {
  readonly endpoint: string
  readonly accounts: readonly {
    readonly users: readonly { readonly name: string, readonly accessKeys: readonly { readonly accessKeyId: string, readonly secretAccessKey: string }[] }[]
  }[]
}

/** The role `ec2-only` of the example, as a bare call would send it. */
function exampleRole () {
  const text = readFileSync(path.join(projectFolder, 'config/example/bootstrap.json'), 'utf8')
  const { writes } = JSON.parse(text) as { writes: { path: string, data: Record<string, unknown> }[] }
  const data = writes.find((write) => write.path === 'aws/roles/ec2-only')?.data
  const [roleArn] = data?.['role_arns'] as string[]
  return { roleArn, externalId: data?.['external_id'], policy: data?.['policy_document'] }
}
