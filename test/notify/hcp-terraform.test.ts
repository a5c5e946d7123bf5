import t, { type Test } from 'tap'
import type { JsonObject } from '../../src/core/json.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { until } from '../helpers/redis.ts'
import { startHcp, type Fault, type HcpStub } from './hcp-stub.ts'
import { createRig, startMs, type Rig } from './rig.ts'

const hourMs = 3_600_000

const settingsOf = (hcp: HcpStub, more: JsonObject = {}): JsonObject => ({
  type: 'hcp-terraform', address: hcp.address, token: hcp.token, workspace_id: hcp.workspaceId,
  variables: { 'team/kv': 'kv_name', 'other/kv': 'other_name' }, start_run: true, ...more
})

async function start (t: Test, more: JsonObject = {}) {
  const hcp = await startHcp(t)
  const rig = await createRig()
  await rig.enable('team/kv', { cron: null })
  await rig.enable('other/kv', { cron: null, prefix: 'other-' })
  await rig.write('tfc', settingsOf(hcp, more))
  return { hcp, rig }
}

/** Has what changed told, once what is gathered is due. */
async function attempt (rig: Rig): Promise<void> {
  await rig.tick()
  rig.clock.nowMs += 2000
  await rig.sweep()
  await settled(rig)
}

const settled = (rig: Rig) => until('no attempt is under way', async () => (await rig.pending('tfc')).every(({ leasedUntilMs, dueAtMs }) => leasedUntilMs === 0 && dueAtMs > rig.clock.nowMs))
const rotate = (rig: Rig, path = 'team/kv') => rig.rotator.rotate(rig.mount(path), { expectedSlot: null, graceSeconds: null })
const valueOf = (hcp: HcpStub, key: string) => hcp.variables.find((variable) => variable.key === key)?.value

/** Answers one request that fits with a fault, the first `times`. */
function failOnce (hcp: HcpStub, method: string, pattern: RegExp, fault: Fault, times = 1): void {
  let left = times
  hcp.state.fault = (asked, path) => asked === method && pattern.test(path) && left-- > 0 ? fault : null
}

t.test('names go into variables of the workspace, as sensitive ones, and one run is started for all that changed together', async (t) => {
  const { hcp, rig } = await start(t, { message: 'New names', auto_apply: true })
  await attempt(rig)
  t.match(hcp.variables, [
    { key: 'other_name', category: 'terraform', value: rig.name('other/kv'), sensitive: true, hcl: false },
    { key: 'kv_name', category: 'terraform', value: rig.name('team/kv'), sensitive: true, hcl: false }
  ])
  t.equal(hcp.runs.length, 1)
  t.match(hcp.runs[0], { message: /^New names \(msg_[A-Za-z0-9]{20,}\)$/, autoApply: true })
  t.strictSame(hcp.log, ['GET /vars', 'POST /vars', 'POST /vars', 'GET /runs', 'POST /runs'])
  await rotate(rig)
  await rotate(rig, 'other/kv')
  await rotate(rig)
  await attempt(rig)
  t.equal(valueOf(hcp, 'kv_name'), rig.name('team/kv'))
  t.equal(valueOf(hcp, 'other_name'), rig.name('other/kv'))
  t.equal(hcp.variables.length, 2)
  t.equal(hcp.runs.length, 2)
  t.not(hcp.runs[0]?.message, hcp.runs[1]?.message)
  t.strictSame(hcp.log.slice(5), ['GET /vars', 'PATCH /vars/var-1', 'PATCH /vars/var-2', 'GET /runs', 'POST /runs'])
  await rotate(rig, 'other/kv')
  await attempt(rig)
  t.strictSame(hcp.log.slice(10), ['GET /vars', 'PATCH /vars/var-1', 'GET /runs', 'POST /runs'], 'only what changed')
  await attempt(rig)
  t.equal(hcp.log.length, 14)
  await rig.rotator.turnOff(rig.mount('team/kv'))
  await attempt(rig)
  t.equal(valueOf(hcp, 'kv_name'), 'team/kv', 'a mount that goes by its own path again')
  t.strictSame(hcp.faults, [], 'SEC-114')
  t.strictSame(rig.errors, [])
})

t.test('a variable that is there is made sensitive; one of the other category is another one; runs are started only where they shall be', async (t) => {
  const { hcp, rig } = await start(t, { category: 'env', start_run: false })
  hcp.variables.push({ id: 'var-x', key: 'kv_name', category: 'env', value: 'typed in', sensitive: false, hcl: true })
  hcp.variables.push({ id: 'var-y', key: 'other_name', category: 'terraform', value: 'untouched', sensitive: false, hcl: false })
  await attempt(rig)
  t.match(hcp.variables, [
    { id: 'var-x', value: rig.name('team/kv'), sensitive: true, hcl: false },
    { id: 'var-y', value: 'untouched', sensitive: false },
    { key: 'other_name', category: 'env', value: rig.name('other/kv'), sensitive: true }
  ])
  t.strictSame(hcp.runs, [])
})

t.test('the workspace decides whether a run applies by itself, unless the notifier says', async (t) => {
  const { hcp, rig } = await start(t)
  await attempt(rig)
  t.strictSame(hcp.runs.map(({ autoApply }) => autoApply), [undefined])
})

t.test('a variable is found on whatever page it is', async (t) => {
  const { hcp, rig } = await start(t, { variables: { 'team/kv': 'kv_name' } })
  for (let n = 0; n < 130; n++) hcp.variables.push({ id: `v${n}`, key: `k${n}`, category: 'terraform', value: '', sensitive: false, hcl: false })
  hcp.variables.push({ id: 'last', key: 'kv_name', category: 'terraform', value: '', sensitive: false, hcl: false })
  await attempt(rig)
  t.match(hcp.variables.at(-1), { id: 'last', value: rig.name() })
  t.equal(hcp.log.filter((line) => line === 'GET /vars').length, 3)
})

for (const [what, method, pattern] of [
  ['the list of variables', 'GET', /vars$/], ['a new variable', 'POST', /vars$/], ['a changed variable', 'PATCH', /vars/], ['the list of runs', 'GET', /runs$/], ['a run', 'POST', /runs$/]
] as const) {
  t.test(`FLT-053 a lost reply to ${what} is made up for, and starts no second run`, async (t) => {
    const { hcp, rig } = await start(t)
    if (method === 'PATCH') hcp.variables.push({ id: 'var-x', key: 'kv_name', category: 'terraform', value: '', sensitive: false, hcl: false })
    failOnce(hcp, method, pattern, { kind: 'lost' })
    await attempt(rig)
    t.match(await rig.pending('tfc'), [{ attempts: 1, lastFailure: 'the connection broke off' }])
    rig.clock.nowMs += hourMs
    await rig.sweep()
    await until('it is done', async () => (await rig.pending('tfc')).length === 0)
    t.equal(hcp.runs.length, 1)
    t.equal(hcp.variables.length, 2)
    t.equal(valueOf(hcp, 'kv_name'), rig.name('team/kv'))
  })
}

t.test('a variable that somebody else makes at the same moment is changed', async (t) => {
  const { hcp, rig } = await start(t, { variables: { 'team/kv': 'kv_name' } })
  hcp.state.fault = (method, path) => {
    const isFirst = method === 'POST' && path.endsWith('/vars') && hcp.variables.length === 0
    if (isFirst) hcp.variables.push({ id: 'var-x', key: 'kv_name', category: 'terraform', value: 'theirs', sensitive: false, hcl: false })
    return null
  }
  await attempt(rig)
  t.match(hcp.variables, [{ id: 'var-x', value: rig.name(), sensitive: true }])
  t.equal(hcp.variables.length, 1)
})

for (const [status, method, pattern, failure] of [
  [401, 'GET', /vars$/, 'HCP Terraform refused the token (401)'],
  [403, 'GET', /vars$/, 'the token may not list variables (403)'],
  [404, 'GET', /vars$/, 'there is no such workspace, or the token may not list variables (404)'],
  [404, 'POST', /runs$/, 'there is no such workspace, or the token may not start a run (404)'],
  [422, 'POST', /vars$/, 'HCP Terraform did not take the variable other_name (422)'],
  [422, 'POST', /runs$/, 'HCP Terraform refused to start a run (422)'],
  [302, 'GET', /vars$/, 'HCP Terraform refused to list variables (302)']
] as const) {
  t.test(`${status} to ${method} ${pattern.source} is given up at once, in plain words`, async (t) => {
    const { hcp, rig } = await start(t)
    const answer = status === 302 ? { status, headers: { location: `${hcp.address}/elsewhere` } } : hcp.refuse(status)
    failOnce(hcp, method, pattern, { kind: 'answer', answer }, 99)
    await rig.tick()
    rig.clock.nowMs += 2000
    await rig.sweep()
    await until('it is given up', () => rig.dead.length === 1)
    t.match(rig.dead, [{ failure, attempts: 1 }])
    const asked = hcp.log.length
    rig.clock.nowMs += hourMs
    await rig.sweep()
    await rig.tick()
    t.equal(hcp.log.length, asked, 'nothing is asked again')
    t.notOk(JSON.stringify([await rig.deadOf('tfc'), rig.dead]).includes('CNRY'))
    hcp.state.fault = () => null
    const [id] = (await rig.deadOf('tfc'))['keys'] as string[]
    await rig.call('write', 'latchkey/notifiers/:name/dead/:id/retry', { captured: { name: 'tfc', id: id ?? '' } })
    await attempt(rig)
    t.equal(valueOf(hcp, 'kv_name'), rig.name('team/kv'), 'until somebody says so')
    t.equal(hcp.runs.length, 1)
  })
}

t.test('another token has the names told anew, after the former one was refused', async (t) => {
  const { hcp, rig } = await start(t, { token: 'wrong' })
  await rig.tick()
  rig.clock.nowMs += 2000
  await rig.sweep()
  await until('it is given up', () => rig.dead.length === 1)
  await rig.write('tfc', { token: hcp.token })
  await attempt(rig)
  t.equal(valueOf(hcp, 'kv_name'), rig.name('team/kv'))
})

/** Has the next request of a method wait; answers how many came to wait, and what lets them go on. */
function hold (hcp: HcpStub, method: string) {
  const held: (() => void)[] = []
  hcp.state.fault = (asked) => asked === method ? new Promise<null>((resolve) => { held.push(() => resolve(null)) }) : null
  return {
    count: () => held.length,
    release: () => {
      hcp.state.fault = () => null
      for (const each of held) each()
    }
  }
}

async function underWay (rig: Rig, hcp: HcpStub, method: string) {
  const held = hold(hcp, method)
  await rig.tick()
  rig.clock.nowMs += 2000
  await rig.sweep()
  await until('an attempt is under way', () => held.count() > 0)
  return held
}

/** Attempts until nothing is left to tell. */
async function told (rig: Rig): Promise<void> {
  await until('all is told', async () => {
    rig.clock.nowMs += 10_000
    await rig.tick()
    await rig.sweep()
    return (await rig.pending('tfc')).length === 0
  })
}

t.test('SEC-163 the token goes to the address that it was given with', async (t) => {
  const { hcp, rig } = await start(t)
  const other = await startHcp(t)
  for (const address of [other.address, other.address.replace('127.0.0.1', 'localhost'), hcp.address.replace('127.0.0.1', '127.0.0.2')]) {
    await t.rejects(rig.write('tfc', { address }), { code: 'invalid_request', message: 'another address needs the token again' })
  }
  t.match(await rig.find('tfc'), { address: hcp.address })
  await rig.write('tfc', { address: `${hcp.address}/`, message: 'Other' })
  await rig.write('tfc', { address: other.address, token: other.token })
  await attempt(rig)
  t.equal(valueOf(other, 'kv_name'), rig.name('team/kv'))
  t.strictSame(hcp.log, [])
})

t.test('a token that replaces one which is being refused has the names told', async (t) => {
  const { hcp, rig } = await start(t, { token: 'wrong' })
  const held = await underWay(rig, hcp, 'GET')
  await rig.write('tfc', { token: hcp.token })
  await rig.tick()
  held.release()
  await told(rig)
  t.equal(valueOf(hcp, 'kv_name'), rig.name('team/kv'))
  t.strictSame(rig.dead, [])
})

t.test('a workspace that replaces one which is being told is told too', async (t) => {
  const { hcp, rig } = await start(t)
  const other = await startHcp(t)
  const held = await underWay(rig, hcp, 'POST')
  await rig.write('tfc', { address: other.address, token: other.token })
  await rig.tick()
  held.release()
  await until('the former one was told', () => hcp.runs.length === 1)
  await told(rig)
  t.equal(valueOf(other, 'kv_name'), rig.name('team/kv'))
  t.equal(other.runs.length, 1)
})

t.test('a dead letter that joins an attempt under way has a run of its own', async (t) => {
  const { hcp, rig } = await start(t)
  failOnce(hcp, 'GET', /vars$/, { kind: 'answer', answer: hcp.refuse(403) })
  await rig.tick()
  rig.clock.nowMs += 2000
  await rig.sweep()
  await until('it is given up', () => rig.dead.length === 1)
  await rotate(rig)
  const held = await underWay(rig, hcp, 'POST')
  const [id = ''] = (await rig.deadOf('tfc'))['keys'] as string[]
  await rig.call('write', 'latchkey/notifiers/:name/dead/:id/retry', { captured: { name: 'tfc', id } })
  held.release()
  await told(rig)
  t.equal(valueOf(hcp, 'other_name'), rig.name('other/kv'))
  t.equal(hcp.runs.length, 2)
})

t.test('a variable that somebody removes at the same moment is made anew', async (t) => {
  const { hcp, rig } = await start(t, { variables: { 'team/kv': 'kv_name' } })
  await attempt(rig)
  await rotate(rig)
  hcp.state.fault = (method) => {
    if (method === 'PATCH') hcp.variables.length = 0
    return null
  }
  await attempt(rig)
  t.equal(valueOf(hcp, 'kv_name'), rig.name('team/kv'))
  t.strictSame(rig.dead, [])
})

t.test('a variable that is listed and cannot be written is given up', async (t) => {
  const { hcp, rig } = await start(t, { variables: { 'team/kv': 'kv_name' } })
  await attempt(rig)
  await rotate(rig)
  failOnce(hcp, 'PATCH', /vars/, { kind: 'answer', answer: hcp.refuse(404) }, 99)
  await rig.tick()
  rig.clock.nowMs += 2000
  await rig.sweep()
  await until('it is given up', () => rig.dead.length === 1)
  t.match(rig.dead, [{ failure: 'HCP Terraform did not take the variable kv_name (404)', attempts: 1 }])
})

t.test('FLT-051 HCP Terraform is left alone for as long as it says, also where a name changes meanwhile', async (t) => {
  const { hcp, rig } = await start(t)
  for (const [headers, waitMs] of [[{ 'retry-after': '600' }, 600_000], [{ 'x-ratelimit-reset': '300.5' }, 300_500], [{}, 0]] as const) {
    failOnce(hcp, 'GET', /vars$/, { kind: 'answer', answer: { status: 429, headers } })
    if (waitMs !== 600_000) await rotate(rig)
    await attempt(rig)
    const [waiting] = await rig.pending('tfc')
    t.match(waiting, { lastFailure: 'HCP Terraform wants fewer requests (429)' })
    t.ok((waiting?.dueAtMs ?? 0) - rig.clock.nowMs >= waitMs, JSON.stringify(headers))
    await rotate(rig)
    await rig.tick()
    const [later] = await rig.pending('tfc')
    t.ok((later?.dueAtMs ?? 0) - rig.clock.nowMs >= waitMs)
    rig.clock.nowMs += hourMs
    await rig.sweep()
    await until('it is done', async () => (await rig.pending('tfc')).length === 0)
    t.equal(valueOf(hcp, 'kv_name'), rig.name('team/kv'))
  }
})

t.test('names that change without a pause are written all the same', async (t) => {
  const { hcp, rig } = await start(t)
  for (let n = 0; n < 20; n++) {
    await rotate(rig)
    await rig.tick()
    rig.clock.nowMs += 500
    await rig.sweep()
    await until('no attempt is under way', async () => (await rig.pending('tfc')).every(({ leasedUntilMs }) => leasedUntilMs === 0))
  }
  t.ok(hcp.runs.length >= 4 && hcp.runs.length <= 6, `${hcp.runs.length} runs in 10 s`)
})

t.test('after an outage the newest name is written, with one run', async (t) => {
  const { hcp, rig } = await start(t)
  hcp.state.fault = () => ({ kind: 'answer', answer: { status: 502 } })
  const names = new Set<string>()
  for (let n = 0; n < 5; n++) {
    await attempt(rig)
    await rotate(rig)
    names.add(rig.name('team/kv'))
  }
  t.equal((await rig.pending('tfc')).length, 1)
  hcp.state.fault = () => null
  await attempt(rig)
  await until('it is done', async () => (await rig.pending('tfc')).length === 0)
  t.equal(valueOf(hcp, 'kv_name'), rig.name('team/kv'))
  t.equal(hcp.runs.length, 1)
})

t.test('SEC-225 a name that changes while the former one is written is written after it, whoever does it', async (t) => {
  const store = createMemoryStore()
  const hcp = await startHcp(t)
  const [one, two] = [await createRig({ store }), await createRig({ store })]
  await one.enable('team/kv', { cron: null })
  await one.write('tfc', settingsOf(hcp, { variables: { 'team/kv': 'kv_name' } }))
  await attempt(one)
  await rotate(one)
  const former = one.name('team/kv')
  await one.tick()
  one.clock.nowMs += 2000
  let release = () => {}
  const held = new Promise<null>((resolve) => { release = () => resolve(null) })
  hcp.state.fault = (method) => method === 'PATCH' ? held : null
  await one.sweep()
  await until('the former name is on its way', () => hcp.log.at(-1)?.startsWith('PATCH') === true)
  const asked = hcp.log.length
  await two.revision.poll()
  await rotate(two)
  two.clock.nowMs = one.clock.nowMs
  await two.tick()
  two.clock.nowMs += 3000
  await two.sweep()
  t.match(await two.pending('tfc'), [{ attempts: 1 }], 'it joined what is under way')
  t.equal(hcp.log.length, asked, 'and nobody writes beside it')
  release()
  await until('both were told', async () => {
    await one.revision.poll()
    one.clock.nowMs += 3000
    await one.sweep()
    return (await one.pending('tfc')).length === 0
  })
  t.equal(valueOf(hcp, 'kv_name'), two.name('team/kv'))
  t.not(valueOf(hcp, 'kv_name'), former)
  t.strictSame([...one.errors, ...two.errors], [])
})

t.test('a broker that is behind writes nothing old', async (t) => {
  const store = createMemoryStore()
  const hcp = await startHcp(t)
  const [one, behind] = [await createRig({ store }), await createRig({ store })]
  await one.enable('team/kv', { cron: null })
  await one.write('tfc', settingsOf(hcp, { variables: { 'team/kv': 'kv_name' } }))
  await behind.revision.poll()
  await rotate(one)
  await one.tick()
  behind.clock.nowMs += 2000
  await behind.sweep()
  await until('it is done', async () => (await one.pending('tfc')).length === 0)
  t.equal(valueOf(hcp, 'kv_name'), one.name('team/kv'))
  t.equal(hcp.runs.length, 1)
})

t.test('SEC-216 of two brokers one writes and starts a run', async (t) => {
  const store = createMemoryStore()
  const hcp = await startHcp(t)
  const rigs = [await createRig({ store }), await createRig({ store })] as const
  const [one, two] = rigs
  await one.enable('team/kv', { cron: null })
  await one.enable('other/kv', { cron: null, prefix: 'other-' })
  await one.write('tfc', settingsOf(hcp))
  for (let round = 1; round <= 10; round++) {
    await Promise.all(rigs.map((rig) => rig.revision.poll()))
    await Promise.all(rigs.map((rig) => rig.tick()))
    for (const { clock } of rigs) clock.nowMs += 2000
    await Promise.all(rigs.map((rig) => rig.sweep()))
    await until('it is done', async () => (await one.pending('tfc')).length === 0)
    t.equal(hcp.runs.length, round)
    t.equal(valueOf(hcp, 'kv_name'), one.name('team/kv'))
    await rotate(round % 2 === 0 ? one : two)
  }
})

t.test('a test reads the workspace, and changes nothing', async (t) => {
  const { hcp, rig } = await start(t)
  const test = () => rig.call('write', 'latchkey/notifiers/:name/test', { captured: { name: 'tfc' } })
  t.strictSame(await test(), { kind: 'data', data: { delivered: true, status: 200, failure: null } })
  await rig.write('tfc', { token: 'wrong' })
  t.strictSame(await test(), { kind: 'data', data: { delivered: false, status: 401, failure: 'HCP Terraform refused the token (401)' } })
  t.strictSame(hcp.log, ['GET ', 'GET '])
})

t.test('what is not HCP Terraform is told so, and is not believed', async (t) => {
  for (const body of ['', '[]', '<html>', '{}', '{"data":{}}', '{"data":[{"id":1}],"meta":{"pagination":{"next-page":1}}}', '{"__proto__":{"data":[]}}']) {
    const { hcp, rig } = await start(t, { start_run: false })
    hcp.state.fault = (method) => method === 'GET' ? { kind: 'answer', answer: { status: 200, body } } : null
    await attempt(rig)
    if (body.includes('"id":1')) t.equal(hcp.variables.length, 2, 'resources without id are none')
    else t.match(await rig.pending('tfc'), [{ lastFailure: 'it did not answer as HCP Terraform does' }], body)
    t.equal(Reflect.get(Object.prototype, 'data'), undefined, 'SEC-294')
  }
  const { hcp, rig } = await start(t)
  hcp.state.fault = () => ({ kind: 'answer', answer: { status: 200, body: Buffer.alloc(5_000_000, ' ') } })
  await attempt(rig)
  t.match(await rig.pending('tfc'), [{ lastFailure: 'it answered with more than is read' }])
  t.ok(rig.clock.nowMs > startMs)
})
