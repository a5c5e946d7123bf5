import { randomBytes, randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import type { Emulator } from '../../src/emulator/server.ts'
import { createFolder, createRole, startAws, startBroker, type Answer, type Asked, type TestBroker } from '../helpers/broker.ts'
import { startRedis, until } from '../helpers/redis.ts'

/** What clients were answered, and what they know of what they were not. */
interface Ledger {
  answered: number
  unknown: number
  /** Request ids of all answers that held a secret. */
  readonly secrets: string[]
  /** Tokens whose revocation was answered, and those that were made and left alone. */
  readonly revoked: string[]
  readonly alive: string[]
  /** Policies whose write was answered. */
  readonly written: string[]
  /** Successes and uses of things that are limited. */
  readonly limited: { readonly what: string, readonly uses: number, count: number }[]
}

/** A client that sends until it is told to stop; while the broker is down it waits for its return. */
function createClients (broker: TestBroker, emulatorRole: string, role: Awaited<ReturnType<typeof createRole>>) {
  const ledger: Ledger = { answered: 0, unknown: 0, secrets: [], revoked: [], alive: [], written: [], limited: [] }
  let stopped = false
  let isUp = Promise.resolve()
  let names = 0

  /** null: nobody knows what became of it. */
  async function ask (method: string, target: string, asked: Asked = {}): Promise<Answer | null> {
    try {
      const answer = await broker.ask(method, target, asked)
      if (answer.status >= 500) throw new Error(answer.text)
      ledger.answered++
      if (answer.status === 200 && answer.body.request_id) ledger.secrets.push(answer.body.request_id)
      return answer
    } catch {
      ledger.unknown++
      await isUp
      return null
    }
  }

  const newToken = async (fields = {}) => (await ask('POST', 'auth/token/create', { body: { policies: ['default'], ...fields } }))?.body.auth

  /** Uses something limited more often than it may be used, by two at once. */
  async function wearOut (what: string, uses: number, use: () => Promise<Answer | null>): Promise<void> {
    const item = { what, uses, count: 0 }
    ledger.limited.push(item)
    for (let i = 0; i <= uses && !stopped; i++) {
      const answers = await Promise.all([use(), use()])
      item.count += answers.filter((answer) => answer?.status === 200).length
    }
  }

  const acts: (() => Promise<void>)[] = [
    async () => { await ask('GET', `aws/creds/${emulatorRole}`) },
    async () => { await ask('GET', `aws/creds/${emulatorRole}`) },
    async () => {
      const auth = await newToken()
      if (!auth) return
      if ((await ask('POST', 'auth/token/revoke', { body: { token: auth.client_token } }))?.status === 204) ledger.revoked.push(auth.client_token)
    },
    async () => {
      const auth = await newToken()
      if (auth) ledger.alive.push(auth.client_token)
    },
    async () => {
      const auth = await newToken({ num_uses: 3 })
      if (auth) await wearOut('a token of 3 uses', 3, () => ask('GET', 'auth/token/lookup-self', { token: auth.client_token }))
    },
    async () => {
      const made = await ask('POST', 'auth/approle/role/load/secret-id', { body: { num_uses: 2 } })
      const secretId = made?.body.data?.['secret_id']
      const body = { role_id: role.roleId, secret_id: String(secretId) }
      if (secretId) await wearOut('a secret_id of 2 uses', 2, () => ask('POST', 'auth/approle/login', { token: null, body }))
    },
    async () => {
      const wrapped = (await ask('POST', 'sys/wrapping/wrap', { body: { a: 1 }, headers: { 'x-vault-wrap-ttl': '600' } }))?.body.wrap_info
      if (wrapped) await wearOut('a wrapped answer', 1, () => ask('POST', 'sys/wrapping/unwrap', { token: wrapped.token }))
    },
    async () => {
      const name = `written-${++names}`
      const body = { policy: `path "${name}" { capabilities = ["read"] }` }
      if ((await ask('PUT', `sys/policies/acl/${name}`, { body }))?.status === 204) ledger.written.push(name)
    }
  ]

  async function run (): Promise<void> {
    while (!stopped) await acts[randomInt(acts.length)]?.()
  }

  return {
    ledger,
    start: (clients: number) => Promise.all(Array.from({ length: clients }, run)),
    stop () { stopped = true },
    /** Clients wait for this before they ask again after a failure. */
    wait (ready: Promise<void>) { isUp = ready }
  }
}

/** Kills a broker in the middle of its work, again and again, and starts it again each time. */
async function killAgainAndAgain (broker: TestBroker, clients: ReturnType<typeof createClients>, kills: number): Promise<number[]> {
  const startsMs: number[] = []
  const work = clients.start(16)
  for (let i = 0; i < kills; i++) {
    const goal = clients.ledger.answered + randomInt(30, 200)
    await until('there is work', () => clients.ledger.answered >= goal, 30_000)
    let up = () => {}
    clients.wait(new Promise((resolve) => { up = resolve }))
    await broker.kill9()
    await broker.restart()
    startsMs.push(Math.round(broker.startMs))
    up()
  }
  const goal = clients.ledger.answered + 100
  await until('there is work', () => clients.ledger.answered >= goal, 30_000)
  clients.stop()
  await work
  return startsMs
}

interface Shown { readonly session_name: string, readonly dies_at: string }

async function allSessions (broker: TestBroker): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  let after = ''
  do {
    const { body } = await broker.must('GET', `sys/latchkey/sessions?limit=1000&after=${encodeURIComponent(after)}`)
    for (const { session_name: name, dies_at: diesAt } of [body.data?.['sessions']].flat() as Shown[]) found.set(name, Date.parse(diesAt))
    after = String(body.data?.['next'] ?? '')
  } while (after !== '')
  return found
}

/** Sessions that STS gave out and the broker does not show, or shows as dying before they do. */
async function strays (broker: TestBroker, emulator: Emulator): Promise<string[]> {
  const shown = await allSessions(broker)
  return emulator.trail({ eventName: 'AssumeRole', accountId: '444455556666' }).flatMap(({ requestParameters, responseElements, errorCode }) => {
    if (errorCode !== undefined) return []
    const name = String(requestParameters?.['roleSessionName'])
    const credentials = responseElements?.['credentials'] as { expiration?: string } | undefined
    const diesAtMs = Date.parse(credentials?.expiration ?? '')
    const shownMs = shown.get(name) ?? 0
    return shownMs + 1000 >= diesAtMs ? [] : [`${name}: dies at ${diesAtMs}, shown until ${shownMs}`]
  })
}

async function check (t: Test, broker: TestBroker, emulator: Emulator, ledger: Ledger): Promise<void> {
  const calls = emulator.trail({ eventName: 'AssumeRole', accountId: '444455556666' }).length
  t.comment(`${ledger.answered} answered, ${ledger.unknown} unknown, ${calls} sessions, ${ledger.revoked.length} revoked, ${ledger.limited.length} limited things`)
  t.ok(calls > 20 && ledger.revoked.length > 5, 'there was enough to judge')
  t.strictSame(await strays(broker, emulator), [], 'I1 every session is shown until its death')
  const statusOf = async (token: string) => (await broker.ask('GET', 'auth/token/lookup-self', { token })).status
  t.strictSame([...new Set(await Promise.all(ledger.revoked.map(statusOf)))], [403], 'I2 revoked tokens stay revoked')
  t.strictSame([...new Set(await Promise.all(ledger.alive.map(statusOf)))], [200], 'tokens that were answered are there')
  t.strictSame(ledger.limited.filter(({ uses, count }) => count > uses), [], 'I3 I4 nothing is used more often than it may be')
  const policies = await Promise.all(ledger.written.map(async (name) => (await broker.ask('GET', `sys/policies/acl/${name}`)).status))
  t.strictSame([...new Set(policies)], [200], 'what was answered as written is there')
  const seen = new Set<string>()
  let torn = 0
  for (const line of broker.auditText().split('\n')) {
    try {
      const { type, request } = JSON.parse(line) as { type: string, request: { id: string } }
      if (type === 'response') seen.add(request.id)
    } catch {
      torn++
    }
  }
  t.strictSame(ledger.secrets.filter((id) => !seen.has(id)), [], `I5 every answer has its audit entry, ${torn} lines were torn`)
}

t.test('FLT-014 kill -9 at random under load, on SQLite', async (t) => {
  const emulator = await startAws(t)
  const broker = await startBroker(t, { emulator })
  const role = await createRole(broker, 'load', { token_policies: 'default' })
  const clients = createClients(broker, 'ec2-only', role)
  const startsMs = await killAgainAndAgain(broker, clients, 8)
  t.comment(`started again within ${startsMs.join(', ')} ms`)
  await check(t, broker, emulator, clients.ledger)
})

t.test('FLT-014 kill -9 at random under load, on Redis', async (t) => {
  const emulator = await startAws(t)
  const redis = await startRedis(t)
  const masterKeyFile = path.join(createFolder(t), 'master.key')
  writeFileSync(masterKeyFile, randomBytes(32), { mode: 0o600 })
  const broker = await startBroker(t, { emulator, store: redis.url, masterKeyFile })
  const role = await createRole(broker, 'load', { token_policies: 'default' })
  const clients = createClients(broker, 'ec2-only', role)
  const startsMs = await killAgainAndAgain(broker, clients, 4)
  t.comment(`started again within ${startsMs.join(', ')} ms`)
  await check(t, broker, emulator, clients.ledger)
})
