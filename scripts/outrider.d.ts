// Types of Outrider's routing scripts, for editors and type checkers. `outrider types`
// writes this file beside a script; with the jsconfig.json of `outrider init` an
// editor finds it by itself. Completion in JavaScript and TypeScript alike:
//
//     export default defineRoute((req, ctx) => { ... });
//
// or, without modules:
//
//     /// <reference path="./outrider.d.ts" />
//     /** @type {Outrider.Route} */
//     function route(req, ctx) { ... }

export {};

declare global {
  namespace Outrider {
    /** Decides where a request goes. It must answer at once: it may not be async. */
    type Route = (req: Request, ctx: Context) => Decision;

    /** The request. Read-only, valid until route returns. A property costs only when it is read. */
    interface Request {
      /** As sent: "GET". */
      readonly method: string;
      /** As received: no query, still percent-encoded. This is what is forwarded. */
      readonly path: string;
      /**
       * For decisions that protect something: escapes of unreserved characters decoded,
       * slashes merged, dot segments resolved.
       */
      readonly cleanPath: string;
      /** scheme://host/path?query */
      readonly url: string;
      /** Without the port, lower case. */
      readonly host: string;
      readonly scheme: 'http' | 'https';
      /** The client's address. X-Forwarded-For counts as far as the hops are in trusted_proxies. */
      readonly ip: string;
      /** The request id: X-Request-Id of a trusted proxy, else made here. */
      readonly id: string;
      /** The name of the listener it came in by. */
      readonly listener: string;
      /** How the client's connection is encrypted; null: it is not. */
      readonly tls: {
        readonly version: '1.2' | '1.3';
        /** That the client asked for (SNI); may be empty. */
        readonly serverName: string;
        /** Of the client's certificate, which was verified: "CN=web,O=shop". Empty: it came without one. */
        readonly subject: string;
        /** That the certificate is for: DNS names and URIs. */
        readonly names: readonly string[];
      } | null;
      /** Names in any case; repeated headers joined by ", ". */
      readonly headers: Lookup;
      /** Decoded as URLSearchParams does. */
      readonly query: Lookup & {
        /** All values of a name, in order. */
        getAll(name: string): string[];
      };
      /** Values as sent, without quotes around them. */
      readonly cookies: Lookup;
    }

    /** Names and values. get and has are functions, whatever the request holds; reach names like these by get. */
    type Lookup = {
      /** The first value, null if there is none. */
      get(name: string): string | null;
      has(name: string): boolean;
    } & { readonly [name: string]: any };

    interface Context {
      /** The clusters and their backends as they are right now. */
      readonly clusters: { readonly [name: string]: Cluster };
      /** Maps a text evenly to [0,1): the same on every sidecar, platform and version. */
      hash(text: string): number;
      /** The JSON of the file script.data, frozen. */
      readonly data: any;
      /** The environment variables that script.env lists; undefined for one that is not set. */
      readonly env: { readonly [name: string]: string };
      /** Milliseconds since 1970; stands still during a call, as Date.now() does. */
      readonly now: number;
    }

    interface Cluster {
      readonly name: string;
      /** Backends that take requests. */
      readonly healthy: number;
      readonly total: number;
    }

    /**
     * A cluster; or the first of a list that has a usable backend; or weights, one of which is
     * drawn for each request, or for each hashKey.
     */
    type Target = string | readonly string[] | { readonly [cluster: string]: number };

    type Decision =
      | Target
      /** default_cluster; 404 where none is set */
      | null
      | undefined
      | void
      | Forward
      | Answer;

    /** The request goes to a cluster. */
    interface Forward {
      cluster: Target;
      /** Why: for the log, and the label of a metric. At most 64 bytes. */
      rule?: string;
      /** Set on the request to the backend, or removed (null). */
      requestHeaders?: { readonly [name: string]: string | null };
      /** Set on the response to the client, or removed (null). Set-Cookie is added to what the backend sets. */
      responseHeaders?: { readonly [name: string]: string | readonly string[] | null };
      /** Asked of the backend in the place of req.path. The query is kept, unless this brings its own. */
      path?: string;
      /** The same key goes to the same backend while that one is usable, and to the same side of weights. */
      hashKey?: string | null;
      /** For the response to begin: milliseconds, or a duration such as "2s". It may only shorten the cluster's. */
      timeout?: number | string;
      respond?: undefined;
    }

    /** The sidecar answers by itself. */
    interface Answer {
      respond: Respond;
      /** Why: for the log, and the label of a metric. At most 64 bytes. */
      rule?: string;
      cluster?: undefined;
    }

    interface Respond {
      /** 200 to 599 */
      status: number;
      headers?: { [name: string]: string };
      /** At most 64 KiB. */
      body?: string;
    }
  }

  /** Is the route that it is given; tells editors its types. */
  function defineRoute(route: Outrider.Route): Outrider.Route;

  /** Finds the value of the longest prefix, among thousands as fast as among a few. Make it once, outside of route. */
  class PrefixMap<T> {
    constructor(table: { readonly [prefix: string]: T });
    get(path: string): T | undefined;
  }

  /** The value of a Set-Cookie header. Without options the cookie is for all paths and ends with the browser's session. */
  function cookie(
    name: string,
    value: string,
    options?: {
      /** Seconds. */
      maxAge?: number;
      /** Default: / */
      path?: string;
      sameSite?: 'Lax' | 'Strict' | 'None';
      secure?: boolean;
      httpOnly?: boolean;
    },
  ): string;

  /** console writes to the sidecar's log, about ten lines per second at most. */
  interface Console {
    log(...values: any[]): void;
    warn(...values: any[]): void;
    error(...values: any[]): void;
  }
  var console: Console;
}
