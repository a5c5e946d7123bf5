import { createHmac } from 'node:crypto'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import type { Audit } from './audit/audit.ts'
import { createAppRoleMethod } from './auth/approle/method.ts'
import type { NameWatch } from './broker/name-watch.ts'
import { createOperationTable } from './broker/operation-table.ts'
import type { Registered } from './broker/parts.ts'
import type { DueHandler } from './broker/sweep.ts'
import type { AuthMethod, Backend, Engine, EngineContext, Operation, TtlBounds } from './core/backend.ts'
import type { Clock } from './core/clock.ts'
import { invalidRequest } from './core/errors.ts'
import type { JsonObject } from './core/json.ts'
import { requestPrefix, type Lease, type Mount, type Token } from './core/model.ts'
import type { Store } from './core/store.ts'
import { createAwsEngine } from './engines/aws/engine.ts'
import { isVersioned, kvAliases, type KvEngine } from './engines/kv/engine.ts'
import type { Leases } from './leases/lease-manager.ts'
import type { Metrics } from './metrics/metrics.ts'
import type { MountTable } from './mounts/mount-table.ts'
import type { Rotator } from './mounts/rotator.ts'
import { answersAt } from './mounts/stable-path.ts'
import type { PolicyStore } from './policies/policy-store.ts'
import type { Keyring } from './store/keyring.ts'
import { lengthPrefixed } from './store/seal.ts'
import { createAuditOperations } from './system/audit.ts'
import { createCapabilityOperations } from './system/capabilities.ts'
import { createCubbyhole } from './system/cubbyhole.ts'
import { createLeaseOperations } from './system/leases.ts'
import { createMetricsOperations } from './system/metrics.ts'
import { createMountOperations, planMount, type MountableBackend } from './system/mounts.ts'
import { createPolicyOperations } from './system/policies.ts'
import { createSecretIdOperations } from './system/secret-ids.ts'
import { createSessionOperations } from './system/sessions.ts'
import { createTokenBackend, tokenProtectedPaths } from './system/token/tokens.ts'
import { createScopes } from './system/scopes/scopes.ts'
import { createUiMountsOperations } from './system/ui-mounts.ts'
import { createWrappingOperations } from './system/wrapping.ts'
import type { Revocation } from './tokens/revocation.ts'
import type { TokenStore } from './tokens/token-store.ts'
import { apiVersion } from './version.ts'
import type { Wrapping } from './wrapping/wrapping.ts'

export interface BackendParts {
  readonly config: Config
  readonly logger: Logger
  readonly store: Store
  readonly keyring: Keyring
  readonly clock: Clock
  readonly mounts: MountTable
  readonly policies: PolicyStore
  readonly tokens: TokenStore
  readonly revocation: Revocation
  readonly leases: Leases
  readonly wrapping: Wrapping
  readonly kv: KvEngine
  readonly systemTtls: TtlBounds
  readonly unmount: (mount: Mount, nowMs: number) => Promise<void>
  /** Of `sys/`, by parts that are put together elsewhere. */
  readonly furtherOperations: readonly Operation[]
  readonly probed: NameWatch['probed']
  readonly rotator: Pick<Rotator, 'check' | 'configure'>
  readonly nudge: () => void
  /** Opened after the backends, whose parameter names it needs. */
  readonly audit: () => Audit
  /** Made after the HTTP front, which it looks at. */
  readonly metrics: () => Metrics
}

/** Root-protected paths of `sys/`, whether or not they exist here (contract 5.0). */
const protectedPaths = [
  'auth/*', 'remount', 'audit', 'audit/*', 'raw*', 'rotate', 'rotate/keyring', 'rotate/root', 'config/cors',
  'config/auditing/*', 'config/ui/headers/*', 'plugins/catalog/*', 'revoke-prefix/*', 'revoke-force/*',
  'leases/revoke-prefix/*', 'leases/revoke-force/*', 'leases/lookup/*', 'leases', 'internal/inspect/*', 'seal', 'step-down',
  'latchkey/notifiers', 'latchkey/notifiers/*'
]

/** All backends: those that can be mounted, and the broker's own. A new one is a line here. */
export function createBackends (parts: BackendParts) {
  const { store, clock, logger, mounts, keyring, config, kv } = parts
  const appRole = createAppRoleMethod({
    store,
    clock,
    hmac: (...texts) => createHmac('sha256', keyring.purposeKey(keyring.activeTerm('approle'), 'approle'))
      .update(lengthPrefixed(texts)).digest(),
    onError: (error) => logger.error({ err: error }, 'a tidy of secret_ids ended early')
  })
  const aws = createAwsEngine({
    clock,
    egress: { development: config.development, allowedHosts: config.awsEndpoints ?? [] },
    identity: config.awsIdentity ?? 'static',
    ...(config.awsRegion !== null && { region: config.awsRegion })
  })
  const authMethods: readonly AuthMethod[] = [appRole]
  const engines: readonly Engine[] = [aws]
  const scopes = createOwnScopes(parts, appRole)
  const system = createSystem(parts, appRole)
  const own: readonly Backend[] = [system, createTokens(parts, authMethods), createCubbyhole({ store })]

  const registered = new Map<string, Registered>()
  for (const backend of [...authMethods, ...engines, kv.plain, ...own]) {
    registered.set(backend.type, { backend, table: createOperationTable(backend.operations) })
  }
  const versionedKv: Registered = { backend: kv.versioned, table: createOperationTable(kv.versioned.operations) }
  const contextOf = (mount: Mount, nowMs: number): EngineContext => ({ mount, store: mounts.storeOf(mount), nowMs })

  /** The engine of a mount, for leases; of a mount that is gone nothing can be asked any more. */
  function engineOf (mountAccessor: string) {
    const mount = mounts.byAccessor(mountAccessor)
    const engine = engines.find(({ type }) => type === mount?.type)
    return {
      async revoke (lease: Lease, nowMs: number): Promise<'revoked' | 'expires'> {
        return mount === null || engine === undefined ? 'expires' : engine.revoke(contextOf(mount, nowMs), lease)
      },
      async renew (lease: Lease, ttlSeconds: number, nowMs: number): Promise<JsonObject | null> {
        if (mount === null || engine?.renew === undefined) throw invalidRequest('lease is not renewable')
        return engine.renew(contextOf(mount, nowMs), lease, ttlSeconds)
      }
    }
  }

  return {
    find (mount: Pick<Mount, 'type' | 'options'>): Registered | null {
      return mount.type === 'kv' && isVersioned(mount) ? versionedKv : registered.get(mount.type) ?? null
    },
    engineOf,
    /** Names of parameters, which the audit log shows in clear. */
    fieldNames: [...registered.values(), versionedKv]
      .flatMap(({ table }) => table.operations)
      .flatMap(({ fields }) => Object.keys(fields)),
    dueHandlers: new Map<string, DueHandler>([...appRole.dueHandlers, ...scopes.dueHandlers]),
    /** Removes a secret_id of whatever role; its tokens stay. */
    endSecretId: (accessor: string) => appRole.secretIds.remove(accessor),
    /** Removes what a mount's backend keeps outside of the mount's own shard. Repeatable. */
    removeMount: (accessor: string) => appRole.removeMount(accessor),
    /** Waits for work in the background, and lets go of connections. */
    async close (): Promise<void> {
      await appRole.idle()
      aws.close()
    }
  }

  function backendOf (type: string): MountableBackend | null {
    const options = kvAliases.get(type)
    const backend = registered.get(options === undefined ? type : 'kv')?.backend
    if (backend === undefined) return null
    const isAuth = authMethods.some((candidate) => candidate.type === type) || type === 'token'
    return { backend, table: isAuth ? 'auth' : 'secret', builtIn: own.includes(backend), options: options ?? {} }
  }

  function createOwnScopes (parts: BackendParts, method: typeof appRole) {
    const { policies, revocation, rotator, systemTtls, unmount } = parts
    return createScopes({
      store,
      mounts,
      policies,
      unmount,
      names: rotator,
      roles: method.ownedRoles,
      aclFor: policies.aclFor,
      revokeGroup: revocation.revokeGroup,
      planMount: (input) => planMount('secret', { backendOf, systemTtls }, input).mount,
      protectedPaths: [
        ...protectedPaths.map((path) => `sys/${path}`), ...tokenProtectedPaths.map((path) => `auth/token/${path}`)
      ],
      onUnfinished: (name) => logger.warn({ scope: name }, 'a scope was not made to its end and is taken away')
    })
  }

  function createSystem ({ policies, tokens, leases, wrapping }: BackendParts, method: typeof appRole): Backend {
    const liveToken = async (found: ReturnType<TokenStore['peek']>): Promise<Token | null> => (await found)?.token ?? null
    return {
      type: 'system',
      description: 'The broker itself: mounts, policies, leases, wrapping and audit.',
      protectedPaths,
      operations: [
        ...createMountOperations({
          mounts,
          version: apiVersion,
          systemTtls: parts.systemTtls,
          unmount: parts.unmount,
          backendOf
        }),
        ...scopes.operations,
        ...parts.furtherOperations,
        ...createUiMountsOperations({
          mounts,
          version: apiVersion,
          findToken: (clientToken, nowMs) => liveToken(tokens.peek(clientToken, nowMs)),
          answers: ({ policies: names }, found) => answersAt(found, policies.aclFor(names)),
          missed: parts.probed,
          reaches: ({ policies: names }, prefix) => policies.aclFor(names).allowsAtOrBelow(prefix)
        }),
        ...createPolicyOperations({ policies }),
        ...createCapabilityOperations({
          stablePathOf: (path) => {
            const found = mounts.resolve(path)
            return found?.reached.by === 'present' || found?.reached.by === 'grace' ? requestPrefix(found.mount) + found.rest : path
          },
          aclFor: policies.aclFor,
          tokens: {
            find: (clientToken, nowMs) => liveToken(tokens.peek(clientToken, nowMs)),
            findByAccessor: (accessor, nowMs) => liveToken(tokens.findByAccessor(accessor, nowMs))
          }
        }),
        ...createLeaseOperations({ leases, aclFor: policies.aclFor }),
        ...createSessionOperations({ leases }),
        ...createWrappingOperations({ wrapping }),
        ...createSecretIdOperations({ secretIds: method.secretIds, mounts }),
        ...createMetricsOperations({ metrics: parts.metrics }),
        ...createAuditOperations({
          audit: {
            devices: () => parts.audit().devices(),
            hash: (device, text) => parts.audit().hash(device, text)
          }
        })
      ]
    }
  }

  function createTokens (
    { tokens, revocation, policies, nudge }: BackendParts, methods: readonly AuthMethod[]
  ): Backend {
    return createTokenBackend({
      tokens,
      revocation,
      revokeToken: revocation.revoke,
      mounts,
      nudge,
      hasSudo: ({ policies: names }, path) =>
        policies.aclFor(names).check({ path, operation: 'update', data: null, wrapTtlSeconds: null }).sudo,
      policyExists: (name) => name === 'root' || policies.find(name) !== null,
      authMethod: (type) => methods.find((method) => method.type === type) ?? null
    })
  }
}
