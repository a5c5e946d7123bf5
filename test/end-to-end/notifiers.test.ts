import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import type { JsonObject } from '../../src/core/json.ts'
import { createFolder, startBroker, textOf, type TestBroker } from '../helpers/broker.ts'
import { startRedis, until } from '../helpers/redis.ts'
import { startHcp } from '../notify/hcp-stub.ts'
import { idOf, startReceiver, verified } from '../notify/receiver.ts'

const rotate = (broker: TestBroker, mount: string) => broker.must('POST', `sys/latchkey/rotation/${mount}/rotate`)

t.test('two brokers on one Redis that tell others', async (t) => {
  const redis = await startRedis(t)
  const masterKeyFile = path.join(createFolder(t), 'master.key')
  writeFileSync(masterKeyFile, randomBytes(32), { mode: 0o600 })
  const shared = { store: redis.url, masterKeyFile }
  const one = await startBroker(t, shared)
  const two = await startBroker(t, shared)
  const [receiver, hcp] = [await startReceiver(t), await startHcp(t)]
  await one.must('POST', 'sys/mounts/kv', { body: { type: 'kv' } })
  await one.must('POST', 'sys/latchkey/rotation/kv', { body: { grace_period: '10m' } })
  const secret = textOf(await one.must('POST', 'sys/latchkey/notifiers/ops', { body: { type: 'webhook', url: receiver.url, events: 'rotation', include_name: true } }), 'secret')
  await two.must('POST', 'sys/latchkey/notifiers/tfc', {
    body: { type: 'hcp-terraform', address: hcp.address, token: hcp.token, workspace_id: hcp.workspaceId, variables: { kv: 'kv_name' }, start_run: true }
  })
  const told = () => receiver.got.map((got) => verified(got, secret)['data'] as JsonObject)
  const lastTold = () => Math.max(0, ...told().map(({ slot }) => Number(slot)))

  t.test('SEC-216 each slot is told by one of them, once', async (t) => {
    for (let slot = 2; slot <= 12; slot++) {
      await rotate(slot % 2 === 0 ? one : two, 'kv')
      if (slot % 3 === 0) await until('it was told', () => lastTold() === slot, 60_000)
    }
    await until('the last one was told', () => lastTold() === 12, 60_000)
    t.equal(new Set(told().map(({ slot }) => slot)).size, receiver.got.length)
    t.equal(new Set(receiver.got.map(idOf)).size, receiver.got.length)
    const { name } = (await one.must('GET', 'sys/latchkey/resolve/kv')).body.data ?? {}
    t.equal(told().find(({ slot }) => slot === 12)?.['name'], name)
    await until('the variable has it', () => hcp.variables[0]?.value === name, 60_000)
    await until('a run was started', () => hcp.runs.length >= 1)
    t.ok(hcp.runs.length <= 12)
  })

  t.test('FLT-011 what a broker that was killed did not tell the other one tells', async (t) => {
    for (let round = 0; round < 3; round++) {
      await rotate(one, 'kv')
      await one.kill9()
      const slot = Number((await two.must('GET', 'sys/latchkey/rotation/kv')).body.data?.['slot'])
      await until('it was told', () => lastTold() === slot, 90_000)
      await one.restart()
    }
    t.equal(new Set(told().map(({ slot }) => slot)).size, new Set(receiver.got.map(idOf)).size, 'a slot has one id')
  })

  t.test('both know a notifier that was changed on one', async (t) => {
    await two.must('POST', 'sys/latchkey/notifiers/ops', { body: { enabled: false } })
    t.equal((await one.must('GET', 'sys/latchkey/notifiers/ops')).body.data?.['enabled'], false)
    await two.must('DELETE', 'sys/latchkey/notifiers/ops')
    t.equal((await one.ask('GET', 'sys/latchkey/notifiers/ops')).status, 404)
    t.strictSame((await one.must('LIST', 'sys/latchkey/notifiers')).body.data?.['keys'], ['tfc'])
  })
})
