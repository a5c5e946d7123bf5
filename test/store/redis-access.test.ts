import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { openRedisStore } from '../../src/store/redis.ts'
import { freePort, startRedis } from '../helpers/redis.ts'

/** The rights that src/store/README.md names. */
const rights = [
  '~lk:*', '-@all', '+get', '+evalsha', '+eval', '+getrange', '+set', '+setrange', '+del', '+zadd', '+zrem',
  '+zscore', '+incr', '+zrangebylex', '+zrangebyscore', '+time', '+info', '+config|get'
]

t.test('the rights that are documented suffice, and give nothing else (SEC-353)', async (t) => {
  const redis = await startRedis(t)
  const admin = new Redis(redis.port, '127.0.0.1')
  t.teardown(() => admin.disconnect())
  await admin.acl('SETUSER', 'broker', 'on', '>secret', ...rights)
  const store = await openRedisStore({ url: redis.url.replace('redis://', 'redis://broker:secret@') })
  t.teardown(() => store.close())
  await store.commit([
    { op: 'put', key: '00:a', value: Buffer.alloc(1), names: ['n/a'], dueAtMs: 1, usesMax: 2 },
    { op: 'put', key: '00:b', value: Buffer.alloc(1), names: ['n/b'] }
  ])
  await store.commit([{ op: 'use', key: '00:a' }, { op: 'take', key: '00:b' }])
  t.equal((await store.list('n/', { limit: 10 })).length, 1)
  t.equal((await store.claim({ nowMs: 1, limit: 10, holdMs: 1 })).length, 1)
  t.equal((await store.get(['00:a', '00:b'])).length, 2)
  t.notMatch((await store.inspect()).problems.join(), /CONFIG/)
  const refused: string[][] = [
    ['FLUSHALL'], ['CONFIG', 'SET', 'appendonly', 'no'], ['DEBUG', 'SLEEP', '1'], ['KEYS', '*'],
    ['REPLICAOF', 'NO', 'ONE'], ['MODULE', 'LIST'], ['SCRIPT', 'FLUSH'], ['ACL', 'LIST'], ['SHUTDOWN'],
    ['GET', 'other:key'], ['SET', 'other:key', 'x'], ['SCAN', '0'], ['SAVE']
  ]
  for (const command of refused) {
    const verdict = await admin.call('ACL', 'DRYRUN', 'broker', ...command)
    t.match(String(verdict), /no permissions/i, command.join(' '))
  }
})

t.test('TLS: only a certificate that is trusted and bears the name (SEC-359)', async (t) => {
  const folder = t.testdir()
  const file = (name: string) => path.join(folder, name)
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=cache', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', file('key.pem'), '-out', file('cert.pem')
  ], { stdio: 'ignore' })
  const plain = await startRedis(t)
  const admin = new Redis(plain.port, '127.0.0.1')
  t.teardown(() => admin.disconnect())
  const port = await freePort()
  await admin.config('SET', 'tls-cert-file', file('cert.pem'), 'tls-key-file', file('key.pem'),
    'tls-ca-cert-file', file('cert.pem'), 'tls-auth-clients', 'no', 'tls-port', String(port))
  const ca = readFileSync(file('cert.pem'), 'utf8')
  await t.rejects(openRedisStore({ url: `rediss://127.0.0.1:${port}` }), { name: 'StoreUnavailable' }, 'self-signed')
  await t.rejects(openRedisStore({ url: `rediss://localhost:${port}`, ca }), { name: 'StoreUnavailable' }, 'another name')
  await t.rejects(openRedisStore({ url: `rediss://127.0.0.1:${plain.port}`, ca }), { name: 'StoreUnavailable' }, 'no TLS')
  const store = await openRedisStore({ url: `rediss://127.0.0.1:${port}`, ca })
  t.teardown(() => store.close())
  await store.commit([{ op: 'put', key: '00:a', value: Buffer.alloc(1) }])
  t.ok((await store.get(['00:a']))[0])
})
