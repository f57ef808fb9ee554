import { defineConfig } from "vite";

// Everything is relative and in three files or so: the node embeds `dist` and serves it at `/`.
export default defineConfig({
  base: "./",
  build: {
    target: "es2020",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
    reportCompressedSize: false,
  },
});
