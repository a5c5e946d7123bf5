import t, { type Test } from 'tap'
import type { JsonObject } from '../../src/core/json.ts'
import { createBrokerFolder, until, type BrokerProcess } from './fault-rig.ts'
import { body, scopePath } from './scope-rig.ts'

t.setTimeout(200_000)

const statusOf = async (broker: BrokerProcess, method: string, target: string, token?: string) =>
  (await broker.ask(method, target, token === undefined ? {} : { token })).status

interface Made { readonly role_id: string, readonly secret_id: string }

const dataOf = (answer: { readonly body: unknown }) => (answer.body as { data: JsonObject }).data

const login = (broker: BrokerProcess, { role_id, secret_id }: Made) =>
  broker.ask('POST', 'auth/approle/login', { body: { role_id, secret_id }, token: '' })

/** Nothing of the scope answers any more, and it can be made again. */
async function judgeGone (t: Test, broker: BrokerProcess): Promise<void> {
  const parts = ['sys/mounts/team-a', 'sys/mounts/team-b', 'auth/approle/role/scope-team-a']
  t.strictSame(await Promise.all(parts.map((part) => statusOf(broker, 'GET', part))), [400, 400, 404])
  const { keys } = dataOf(await broker.ask('LIST', 'sys/policies/acl')) as { keys: string[] }
  t.strictSame(keys.filter((name) => name.startsWith('scope-')), [])
  const made = await broker.ask('POST', scopePath, { body })
  t.equal((await login(broker, dataOf(made) as unknown as Made)).status, 200)
}

for (const point of ['making', 'mount', 'policy', 'role', 'made'] as const) {
  t.test(`FLT-001 killed while a scope is made, after the step "${point}": it is there whole, or any broker takes it away`, async (t) => {
    const folder = createBrokerFolder(t)
    const first = await folder.start({ crashAt: `after-scope-${point}:1` })
    t.equal((await first.ask('POST', 'sys/auth/approle', { body: { type: 'approle' } })).status, 204)
    await t.rejects(first.ask('POST', scopePath, { body }))
    t.equal(await first.ended(), 'SIGKILL')
    const second = await folder.start({ offsetSeconds: 181 })
    if (point === 'made') {
      const again = await second.ask('POST', scopePath, { body })
      const { secret_id } = dataOf(await second.ask('POST', `${scopePath}/secret-id`, { body: {} })) as unknown as Made
      t.equal((await login(second, { ...dataOf(again) as unknown as Made, secret_id })).status, 200)
      return
    }
    t.equal(await until(() => statusOf(second, 'GET', scopePath), (status) => status === 404), 404)
    await judgeGone(t, second)
  })
}

// The start itself revokes a token.
for (const [point, nth] of [['removing', 1], ['tokens', 2], ['unmount', 1]] as const) {
  t.test(`FLT-009 killed while a scope is removed, after the step "${point}": the removal is finished after a start`, async (t) => {
    const folder = createBrokerFolder(t)
    const first = await folder.start({ crashAt: `after-scope-${point}:${nth}` })
    t.equal((await first.ask('POST', 'sys/auth/approle', { body: { type: 'approle' } })).status, 204)
    const made = dataOf(await first.ask('POST', scopePath, { body })) as unknown as Made
    const { body: logged } = await login(first, made)
    const { client_token: token } = (logged as unknown as { auth: { client_token: string } }).auth
    await t.rejects(first.ask('DELETE', scopePath))
    t.equal(await first.ended(), 'SIGKILL')
    const second = await folder.start({ offsetSeconds: 61 })
    t.equal(await until(() => statusOf(second, 'GET', scopePath), (status) => status === 404), 404)
    t.equal(await statusOf(second, 'GET', 'auth/token/lookup-self', token), 403)
    t.equal((await login(second, made)).status, 400)
    await judgeGone(t, second)
  })
}
