import { execFileSync } from 'node:child_process'
import http from 'node:http'
import path from 'node:path'
import { freePort } from '../helpers/redis.ts'
import { accessorOf, launchBroker, logIn, makeFolder, startBroker, type BrokerOptions } from './broker.ts'
import { load } from './load.ts'
import { residentBytesOf } from './processes.ts'
import { shotOf } from './rates.ts'
import type { Setting } from './setting.ts'

/** How long a start takes until health answers 200. */
export interface StartFigure {
  readonly what: string
  /** Each try. */
  readonly timesMs: readonly number[]
  readonly residentBytes: number
}

export interface StartOptions {
  readonly setting: Setting
  readonly stores: readonly ('sqlite' | 'redis')[]
  /** Leases in the SQLite file; 0 leaves that out. */
  readonly leasesInStore: number
  /** Starts of each kind. */
  readonly tries: number
  readonly report: (line: string) => void
}

/** Starts brokers on data that a first one left: by SIGTERM, by kill -9 under a load of vends, and with many leases. */
export async function measureStarts ({ setting, stores, leasesInStore, tries, report }: StartOptions): Promise<StartFigure[]> {
  const figures: StartFigure[] = []
  const add = (figure: StartFigure) => {
    figures.push(figure)
    report(`${figure.what}: ${figure.timesMs.map((ms) => ms.toFixed(0)).join(', ')} ms`)
  }
  for (const store of stores) {
    const options = {
      store: store === 'redis' ? setting.emptyRedis() : 'sqlite', emulator: setting.emulatorUrl, folder: makeFolder()
    }
    const first = await startBroker(options)
    await first.running.end()
    add(await timeStarts(`${store}, after a stop`, options, tries, async () => {}))
    add(await timeStarts(`${store}, after a kill -9 under load`, options, tries, () => killUnderLoad(options)))
    if (store !== 'sqlite' || leasesInStore === 0) continue
    const mountAccessor = await accessorOf(options, 'aws/')
    execFileSync(process.execPath, [path.join(import.meta.dirname, 'fill.ts'), options.folder, String(leasesInStore), mountAccessor])
    add(await timeStarts(`sqlite, ${leasesInStore.toLocaleString('en')} leases in the store`, options, tries, async () => {}))
  }
  return figures
}

async function timeStarts (what: string, options: BrokerOptions, tries: number, before: () => Promise<void>): Promise<StartFigure> {
  const timesMs: number[] = []
  let residentBytes = 0
  for (let n = 0; n < tries; n++) {
    await before()
    const port = await freePort()
    const beganMs = performance.now()
    const running = launchBroker(options, `127.0.0.1:${port}`)
    while (!await isHealthy(port)) {
      if (!running.isAlive() || performance.now() - beganMs > 60_000) throw new Error(`a broker did not start:\n${running.output()}`)
      await new Promise((resolve) => { setTimeout(resolve, 4) })
    }
    timesMs.push(performance.now() - beganMs)
    residentBytes = residentBytesOf(running.pid)
    await running.end()
  }
  return { what, timesMs: timesMs.sort((a, b) => a - b), residentBytes }
}

function isHealthy (port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get({ host: '127.0.0.1', port, path: '/v1/sys/health', agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    request.on('error', () => { resolve(false) })
  })
}

async function killUnderLoad (options: BrokerOptions): Promise<void> {
  const broker = await startBroker(options)
  const token = await logIn(broker)
  const loading = load(shotOf('vend', broker, token), 3, process.pid)
  await new Promise((resolve) => { setTimeout(resolve, 1500) })
  await broker.running.end('SIGKILL')
  await loading
}
