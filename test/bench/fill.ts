import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { loadConfig } from '../../config/config.ts'
import { createLogger } from '../../config/logger.ts'
import { handleIn } from '../../src/core/ids.ts'
import { SHARDS, type Put, type Store } from '../../src/core/store.ts'
import { putLease } from '../../src/leases/lease-record.ts'
import { openStore } from '../../src/open-store.ts'
import { createBarrier } from '../../src/store/barrier.ts'
import { createMemoryStore } from '../../src/store/memory.ts'

/*
 * Fills the SQLite store of a stopped broker with live leases: the very records that vends write,
 * sealed with its keyring, put into the tables by hand in the order of their keys. Arguments: the data
 * folder, how many, the accessor of the mount.
 */
const [folder = '', count = '', mountAccessor = ''] = process.argv.slice(2)
const environment = { LATCHKEY_DATA_DIR: folder, LATCHKEY_EMULATOR: 'off' }
const opened = await openStore(loadConfig(environment, ['--development']), environment, createLogger('error'))
let sealed: Put[] = []
const capture: Store = {
  ...createMemoryStore(),
  async commit (changes) {
    sealed = changes.filter((change): change is Put => change.op === 'put')
    return []
  }
}
const barrier = createBarrier({ store: capture, keyring: opened.keyring })
await opened.store.close()

const nowMs = Date.now()
const tokens = new Map(SHARDS.map((shard) => [shard, handleIn(shard)]))
const ids = Array.from({ length: Number(count) }, () => handleIn(randomBytes(1).toString('hex'))).sort()
const db = new DatabaseSync(path.join(folder, 'latchkey.db'))
db.exec('pragma journal_mode = wal; pragma synchronous = off; pragma cache_size = -262144; begin immediate')
const addRecord = db.prepare('insert into record (key, stamp, used, uses_max, due, names, value) values (?, ?, 0, 0, ?, ?, ?)')
const addName = db.prepare('insert into name (list, name, key) values (?, ?, ?)')
for (const id of ids) {
  await barrier.commit([leaseOf(id)])
  const [put] = sealed
  if (put === undefined) throw new Error('a lease was not sealed')
  const { key, stamp = '', dueAtMs = -1, names = [], value } = put
  addRecord.run(key, stamp, dueAtMs, JSON.stringify(names), value)
}
for (const nameOf of [listedName, tokenName, sessionName]) {
  for (const id of ids) addName.run('', nameOf(id), `${id.slice(0, 2)}:lease/${id}`)
}
db.exec('commit; pragma wal_checkpoint(truncate)')
db.close()

function tokenOf (id: string): string {
  return tokens.get(id.slice(0, 2)) ?? ''
}

function listedName (id: string): string {
  return `lease/${mountAccessor}/creds/ec2-only/${id}`
}

function tokenName (id: string): string {
  return `lease-of/${tokenOf(id)}/${id}`
}

function sessionName (id: string): string {
  return `session/${id}`
}

function leaseOf (id: string): Put {
  const endsAtMs = nowMs + 3_600_000 + Math.floor(Math.random() * 3_600_000)
  return putLease({
    id,
    path: 'aws/creds/ec2-only',
    below: 'creds/ec2-only',
    mountAccessor,
    tokenAccessor: tokenOf(id),
    tokenLineage: [],
    runId: null,
    state: 'active',
    issuedAtMs: nowMs,
    expiresAtMs: endsAtMs,
    endsAtMs,
    renewable: false,
    lastRenewalMs: null,
    attempts: 0,
    reason: null,
    revokedAtMs: null,
    revocation: {
      kind: 'sts',
      credentialType: 'assumed_role',
      role: 'ec2-only',
      roleArn: 'arn:aws:iam::444455556666:role/LatchkeyProvisioner',
      account: '444455556666',
      partition: 'aws',
      region: 'us-east-1',
      endpoint: '127.0.0.1:4566',
      sessionName: `vault-approle-ec2-only-${id.slice(-20)}`,
      sourceIdentity: null,
      durationSeconds: 3600,
      runId: null,
      arn: `arn:aws:sts::444455556666:assumed-role/LatchkeyProvisioner/vault-approle-ec2-only-${id.slice(-20)}`,
      principalId: `AROA6V2D4RHSBQ3XJ7KMN:vault-approle-ec2-only-${id.slice(-20)}`,
      accessKeyId: `ASIA${id.slice(0, 16)}`,
      issuedAtMs: nowMs,
      expiresAtMs: endsAtMs,
      sessionTokenUtilization: null,
      packedPolicySize: 6
    }
  }, { expect: 'absent', dueAtMs: endsAtMs })
}
