import { createHmac, createSecretKey, hkdfSync } from 'node:crypto'
import path from 'node:path'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { createHttpServer, type HttpServer } from '../plugins/http-server.ts'
import { createTokenSigner } from '../plugins/jwt.ts'
import { createScheduler } from '../plugins/scheduler.ts'
import { registerStatus, type StatusFacts } from '../plugins/status.ts'
import { openTls, type TlsFiles } from '../plugins/tls.ts'
import { openAudit, type Audit } from './audit/audit.ts'
import { openFileDevice } from './audit/file-device.ts'
import { openStdoutDevice } from './audit/stdout-device.ts'
import { createBackends } from './backends.ts'
import { createBroker, type Broker } from './broker/broker.ts'
import { createGate } from './broker/gate.ts'
import { createSettlement } from './broker/settlement.ts'
import { createSweeper, type DueHandler } from './broker/sweep.ts'
import type { Clock } from './core/clock.ts'
import { createRevision } from './core/revision.ts'
import { within } from './core/within.ts'
import { createKvEngine, isVersioned } from './engines/kv/engine.ts'
import { createLeases } from './leases/lease-manager.ts'
import { createMetrics, type Reading } from './metrics/metrics.ts'
import { createMountTable, plainConfig, type MountTable } from './mounts/mount-table.ts'
import { createNotifierParts } from './notifier-parts.ts'
import type { OpenStore } from './open-store.ts'
import { createPolicyStore } from './policies/policy-store.ts'
import { createNameMac, createRotatingNames } from './rotating-names.ts'
import { lengthPrefixed, open, seal } from './store/seal.ts'
import { createRemount } from './system/remount.ts'
import { createUnmount } from './system/unmount.ts'
import { createRevocation, type Revocation } from './tokens/revocation.ts'
import { createTokenNames } from './tokens/token-names.ts'
import { createTokenStore, type TokenStore } from './tokens/token-store.ts'
import { apiVersion, buildDate } from './version.ts'
import { removeHeld } from './wrapping/held.ts'
import { createWrapping, type AnswerCipher } from './wrapping/wrapping.ts'

export interface AppOptions {
  readonly config: Config
  readonly logger: Logger
  readonly opened: OpenStore
}

/** A broker that is put together and does not listen yet. */
export interface App {
  readonly broker: Broker
  readonly tokens: TokenStore
  readonly mounts: MountTable
  readonly revocation: Revocation
  readonly clock: Clock
  readonly http: HttpServer
  /** Listens, and begins the work that nobody asks for. Answers the URL. */
  listen (): Promise<string>
  /** Opens log files and certificates again; what fails is logged and the former stay in use. */
  reload (): Promise<void>
  /** Stops accepting, answers what is in flight, flushes the audit log, lets go of the store. */
  close (deadlineMs: number): Promise<void>
}

/** How long a stop waits for work that nobody asked for. The store knows what is left of it, and somebody goes on with it. */
const backgroundMs = 1000

/** Puts the parts together; the only file that knows them all. */
export async function createApp ({ config, logger, opened }: AppOptions): Promise<App> {
  const { store, keyring, clock } = opened
  const systemTtls = { ttlSecondsDefault: config.leaseTtlSeconds ?? 0, ttlSecondsMax: config.leaseTtlSecondsMax ?? 0 }
  const revision = createRevision({ store })
  const policies = createPolicyStore({ store, revision, clock })
  const mac = createNameMac(keyring)
  const mounts = createMountTable({ store, revision, systemTtls, clock, mac })
  revision.follow(() => mounts.load())
  await Promise.all([policies.load(), mounts.load()])

  const signer = createTokenSigner(() => keyring)
  const names = createTokenNames({
    term: signer.term,
    mac: (term, text) => createHmac('sha256', keyring.purposeKey(term, 'token')).update(text).digest()
  })
  const tokens = createTokenStore({ store, signer, names })
  const nudge = () => sweeper.nudge()
  const revocation = createRevocation({
    store,
    nudge,
    endBelongings: async (accessor) => {
      await leases.endOf(accessor)
      await removeHeld(store, accessor)
    }
  })
  const leases = createLeases({
    store, clock, nudge, mounts,
    tokens: { findByAccessor: tokens.findByAccessor, revoke: revocation.revoke },
    onEnded: (lease) => rotatingNames.leaseEnded(lease),
    engines: {
      revoke: (lease, nowMs) => backends.engineOf(lease.mountAccessor).revoke(lease, nowMs),
      renew: (lease, ttlSeconds, nowMs) => backends.engineOf(lease.mountAccessor).renew(lease, ttlSeconds, nowMs)
    }
  })
  const wrapping = createWrapping({
    store,
    cipher: createAnswerCipher(keyring.clusterId),
    tokens: { create: tokens.create, identify: tokens.identify, revoke: revocation.revoke }
  })
  const unmounting = createUnmount({
    store,
    mounts,
    endMount: async (mount) => {
      await leases.endMount(mount)
      await backends.removeMount(mount.accessor)
    }
  })
  const { aclFor } = policies
  const remounting = createRemount({ store, mounts, endMount: leases.endMount, aclFor, waitMs: 5000 })
  const kv = createKvEngine()
  const rotatingNames = createRotatingNames({
    store, keyring, clock, logger, mac, mounts, revision, policies, tokens, nudge, audit: () => audit,
    revokeToken: revocation.revoke,
    endSecretId: (accessor) => backends.endSecretId(accessor),
    keys: kv.kept, count: (event) => metrics.count(event), canHoldNames: (mount) => mount.type === 'kv' && isVersioned(mount)
  })
  const notifiers = createNotifierParts({
    config, logger, store, clock, revision, mounts, aclFor, subscribe: rotatingNames.subscribe, nudge
  })
  const backends = createBackends({
    config, logger, store, keyring, clock, mounts, policies, tokens, revocation, leases, wrapping, systemTtls, kv,
    unmount: unmounting.unmount,
    furtherOperations: [...remounting.operations, ...rotatingNames.operations, ...notifiers.operations],
    rotator: rotatingNames.rotator,
    probed: rotatingNames.watch.probed, nudge,
    audit: () => audit,
    metrics: () => metrics
  })
  const audit = await openAuditLog(config, opened, backends.fieldNames)
  const sweeper = createSweeper({
    store,
    clock,
    handlers: new Map<string, DueHandler>([
      ...leases.handlers,
      ...backends.dueHandlers,
      ['token', revocation.expire], ['dying', revocation.bury],
      ['unmount', unmounting.finish], ['remount', remounting.finish],
      ...rotatingNames.dueHandlers,
      ...notifiers.dueHandlers
    ]),
    onError: (kind, error) => logger.error({ kind, err: error }, 'due work failed and will be done again')
  })
  const gate = createGate({ mounts, backends: backends.find, tokens, aclFor: policies.aclFor, revision })
  const revokeToken = revocation.revoke
  const settlement = createSettlement({ tokens, leases, wrapping, revokeToken, now: clock.now })
  const broker = createBroker({
    clock, gate, settlement, audit, revokeToken,
    watch: rotatingNames.watch.see,
    observe: ({ mount, operation }, outcome, seconds) =>
      metrics.observe({ mountType: mount?.type ?? 'none', operation, outcome, seconds })
  })
  await mountBuiltIns(mounts)

  const storeWatch = watchStore(opened, logger)
  const tls = openTlsFiles(config)
  const http = createHttpServer({
    broker,
    clock,
    logger,
    trustedProxies: config.trustedProxies ?? [],
    isPublic: (target) => isPublicPath(target, mounts, backends.find),
    openStream: rotatingNames.openStream,
    isOurs: (clientToken) => signer.verify(clientToken, clock.now()) !== null,
    ...(tls !== null && { tls })
  })
  const readings = [...readingsOf(http, audit), ...rotatingNames.readings, ...notifiers.readings]
  const metrics = createMetrics({ readings })
  const degraded = () => problemsOf(opened, audit, storeWatch.isThere(), revision.isFresh())
  registerStatus(http.app, factsOf(config, opened, degraded))
  const scheduler = createScheduler({
    logger,
    everyMs: [
      { name: 'follow the revision', periodMs: 500, run: () => revision.poll() },
      { name: 'follow the store\'s time', periodMs: 5000, run: () => clock.follow() },
      ...rotatingNames.jobs,
      ...notifiers.jobs,
      { name: 'look after audit files', periodMs: 2000, run: () => audit.check() },
      { name: 'look whether the store is there', periodMs: 10_000, run: storeWatch.look }
    ],
    cron: [{ name: 'sweep', expression: '* * * * * *', run: () => sweeper.sweep() }, ...rotatingNames.cron]
  })

  return {
    broker,
    tokens,
    mounts,
    revocation,
    clock,
    http,
    async listen () {
      const { host, port } = config.listen ?? { host: '127.0.0.1', port: 8200 }
      const address = await http.app.listen({ host, port })
      scheduler.start()
      void reportDamage(opened, logger)
      return address
    },
    async reload () {
      await audit.reopen()
      const failure = tls?.reload() ?? null
      if (failure !== null) logger.error({ err: failure }, 'TLS files were not reloaded')
      else logger.info('log files and certificates were opened again')
    },
    async close (deadlineMs) {
      rotatingNames.release()
      await http.stop(deadlineMs)
      const background = [scheduler.stop(), sweeper.stop(), rotatingNames.close(), notifiers.close(), backends.close()]
      await within(backgroundMs, Promise.all(background))
      await audit.close()
      await store.close()
    }
  }
}

/** Whether the store is the one that this broker had, as of the last look. */
function watchStore (opened: OpenStore, logger: Logger) {
  let isThere = true
  return {
    isThere: () => isThere,
    async look (): Promise<void> {
      isThere = await opened.isThere()
      if (!isThere) logger.fatal('the store came back empty or as another one: bring the right one back')
    }
  }
}

async function reportDamage (opened: OpenStore, logger: Logger): Promise<void> {
  try {
    const damage = await opened.check()
    if (damage.length > 0) logger.error({ damage }, 'the store is damaged')
  } catch (error) {
    logger.error({ err: error }, 'the store could not be checked')
  }
}

/** What metrics show of the parts besides requests. */
function readingsOf (http: HttpServer, audit: Audit): Reading[] {
  return [
    {
      name: 'latchkey_connections',
      help: 'Open connections of clients',
      kind: 'gauge',
      read: () => new Map([['', http.openConnections()]])
    },
    {
      name: 'latchkey_refused_before_a_request_total',
      help: 'What was refused on a connection before there was a request, by reason',
      kind: 'counter',
      label: 'reason',
      read: () => new Map([...http.refusals].map(([reason, { count }]) => [reason, count]))
    },
    {
      name: 'latchkey_audit_gaps_total',
      help: 'Entries that an audit device does not have',
      kind: 'counter',
      label: 'device',
      read: () => new Map(audit.status().map(({ name, gaps }) => [name, gaps]))
    }
  ]
}

/** What the status routes tell. */
function factsOf (
  config: Config, { keyring, clock, storageType }: OpenStore, degraded: () => string[]
): StatusFacts {
  const { clusterId } = keyring
  const clusterName = config.clusterName ?? ''
  return { version: apiVersion, buildDate, clusterName, clusterId, storageType, now: () => clock.now(), degraded }
}

/** What of the parts does not work as it should, each a public sentence. */
function problemsOf (opened: OpenStore, audit: Audit, storeIsThere: boolean, isFresh: boolean): string[] {
  return [
    ...opened.risks,
    ...isFresh ? [] : ['the store did not tell of mounts and policies for a second'],
    ...storeIsThere ? [] : ['the store is not the one that this broker had'],
    ...audit.status().filter(({ failing }) => failing).map(({ name }) => `the audit device ${name} does not take entries`)
  ]
}

/** The mounts that every broker has. */
async function mountBuiltIns (mounts: MountTable): Promise<void> {
  const builtIns = [
    { table: 'auth', path: 'token', type: 'token', description: 'token based credentials' },
    { table: 'secret', path: 'sys', type: 'system', description: 'system endpoints used for control, policy and debugging' },
    { table: 'secret', path: 'cubbyhole', type: 'cubbyhole', description: 'per-token private secret storage' }
  ] as const
  for (const mount of builtIns) {
    if (mounts.find(mount.table, mount.path) !== null) continue
    const whole = { ...mount, options: null, config: plainConfig, local: mount.type === 'cubbyhole', sealWrap: false }
    await mounts.enable(whole).catch((error: unknown) => {
      // Another broker of a first start was quicker.
      if (mounts.find(mount.table, mount.path) === null) throw error
    })
  }
}

async function openAuditLog (config: Config, { store, clock }: OpenStore, names: Iterable<string>): Promise<Audit> {
  const file = config.auditFile ?? ''
  const device = file === 'stdout'
    ? openStdoutDevice({ name: 'stdout', fd: 1 })
    : openFileDevice({
        name: 'file',
        filePath: file === '' ? path.resolve(config.dataDir ?? '', 'audit.log') : path.resolve(file),
        sync: config.auditSync === 'group' ? 'group' : 'none'
      })
  return openAudit({ devices: [device], store, clock, names })
}

function openTlsFiles (config: Config): TlsFiles | null {
  const { tlsCertFile, tlsKeyFile, tlsClientCaFile } = config
  if (tlsCertFile === null || tlsKeyFile === null) return null
  return openTls({
    certificateFile: tlsCertFile,
    keyFile: tlsKeyFile,
    ...(tlsClientCaFile !== null && { clientCaFile: tlsClientCaFile })
  })
}

/** Whether a path is served without a token, so that its body is bounded more tightly (SEC-285). */
function isPublicPath (target: string, mounts: MountTable, find: ReturnType<typeof createBackends>['find']): boolean {
  const resolved = mounts.resolve(target)
  // An own path that answers only some tokens is an unknown one to who shows none.
  if (resolved === null || resolved.reached.by === 'guarded') return false
  return find(resolved.mount)?.table.match(resolved.rest, 'write')?.operation?.access === 'public'
}

/** Keys for wrapped answers, each made of its wrapping token's secret name; store and master key do not lead to it. */
function createAnswerCipher (clusterId: string): AnswerCipher {
  const keyOf = (name: string) =>
    createSecretKey(Buffer.from(hkdfSync('sha256', name, clusterId, 'latchkey/v1 wrapped answer', 32)))
  const context = (accessor: string) => lengthPrefixed(['latchkey/wrap/v1', clusterId, accessor])
  return {
    seal: (name, accessor, plain) => seal(keyOf(name), plain, context(accessor)),
    open: (name, accessor, sealed) => open(keyOf(name), sealed, context(accessor))
  }
}
